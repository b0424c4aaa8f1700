// Bodies of captures as trees: made of the text that is there, when somebody asks for it.
const FIRST_CHILDREN = 200;

for (const body of document.querySelectorAll("[data-body]")) {
  if (body.dataset.body) offer(body);
}

function offer(body) {
  const pre = body.querySelector("pre");
  const head = body.querySelector(".code-head");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-quiet button-small";
  button.textContent = "Tree";
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", `${pre.getAttribute("aria-label")} as a tree`);
  head.insertBefore(button, head.lastElementChild);
  let tree = null;
  button.addEventListener("click", () => {
    tree ??= make(pre, body.dataset.body);
    const isShown = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isShown));
    tree.hidden = isShown;
    pre.hidden = !isShown;
  });
}

function make(pre, kind) {
  const tree = document.createElement("div");
  tree.className = "tree";
  tree.tabIndex = 0;
  tree.setAttribute("role", "region");
  tree.setAttribute("aria-label", `${pre.getAttribute("aria-label")}, as a tree`);
  const value = kind === "json" ? parse(pre.textContent) : readEvents(pre.textContent);
  tree.append(show(null, value, 0));
  pre.after(tree);
  return tree;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The events of a stream: what each is called, and its data. */
function readEvents(text) {
  const events = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const lines = block.split(/\r?\n/);
    const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart());
    const data = field("data").join("\n");
    if (!data) continue;
    const name = field("event").at(-1);
    events.push(name ? { event: name, data: parse(data) } : parse(data));
  }
  return events;
}

function show(name, value, depth) {
  const isNested = value !== null && typeof value === "object";
  const element = document.createElement(isNested ? "details" : "div");
  const head = isNested ? element.appendChild(document.createElement("summary")) : element;
  if (name !== null) {
    const label = document.createElement("span");
    label.className = "tree-name";
    label.textContent = `${name}: `;
    head.append(label);
  }
  const words = document.createElement("span");
  words.className = isNested ? "muted" : `tree-${value === null ? "null" : typeof value}`;
  words.textContent = isNested ? describe(value) : JSON.stringify(value);
  head.append(words);
  if (isNested) {
    const fill = () => element.childElementCount === 1 && element.append(...children(value, depth + 1));
    element.addEventListener("toggle", fill);
    if (depth < 2) {
      fill();
      element.open = true;
    }
  }
  return element;
}

function describe(value) {
  if (Array.isArray(value)) return value.length === 1 ? "1 item" : `${value.length} items`;
  const names = Object.keys(value);
  return names.length > 4 ? `${names.length} fields` : `{ ${names.join(", ")} }`;
}

function children(value, depth, from = 0) {
  const entries = Object.entries(value);
  const shown = entries.slice(from, from + FIRST_CHILDREN).map(([name, each]) => show(name, each, depth));
  if (entries.length > from + FIRST_CHILDREN) {
    const more = document.createElement("button");
    more.type = "button";
    more.className = "button button-small";
    more.textContent = `${entries.length - from - FIRST_CHILDREN} more`;
    more.addEventListener("click", () => more.replaceWith(...children(value, depth, from + FIRST_CHILDREN)));
    shown.push(more);
  }
  return shown;
}
