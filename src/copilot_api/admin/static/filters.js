// Suggestions while a query is typed: names of fields first, then their values.
const prepared = new WeakSet();
const OPERATORS = /^(>=|<=|>|<)/;
let counter = 0;

/** The word at the caret: where it starts, and what it is. */
function wordAt(input) {
  const before = input.value.slice(0, input.selectionStart);
  let start = 0;
  let isQuoted = false;
  before.split("").forEach((letter, index) => {
    if (letter === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(letter)) start = index + 1;
  });
  return { start, text: before.slice(start) };
}

function suggest(fields, text) {
  const colon = text.indexOf(":");
  const negation = text.startsWith("-") ? "-" : "";
  if (colon < 0) {
    const typed = text.slice(negation.length).toLowerCase();
    return fields
      .filter((field) => field.name.startsWith(typed) || (typed.length > 2 && field.hint.toLowerCase().includes(typed)))
      .map((field) => ({ text: `${negation}${field.name}:`, hint: field.hint }));
  }
  const field = fields.find((each) => each.name === text.slice(negation.length, colon));
  if (!field) return [];
  const rest = text.slice(colon + 1);
  const operator = rest.match(OPERATORS)?.[0] || "";
  const typed = rest.slice(operator.length).replaceAll('"', "").toLowerCase();
  return field.values
    .filter((value) => value.toLowerCase().includes(typed) && value.toLowerCase() !== typed)
    .map((value) => ({ text: `${text.slice(0, colon + 1)}${operator}${/[\s"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value}`, hint: "", isWhole: true }));
}

function prepareFilter(input) {
  const fields = JSON.parse(input.dataset.fields);
  if (!fields.length) return;
  const list = input.parentElement.querySelector(".suggestions");
  list.id = `suggestions-${(counter += 1)}`;
  const set = (name, value) => input.setAttribute(name, value);
  set("role", "combobox");
  set("aria-autocomplete", "list");
  set("aria-controls", list.id);
  set("aria-expanded", "false");

  let found = [];
  let chosen = -1;

  const close = () => {
    list.hidden = true;
    set("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    chosen = -1;
  };
  const choose = (index) => {
    chosen = (index + found.length) % found.length;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    set("aria-activedescendant", list.children[chosen].id);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  };
  const show = () => {
    found = suggest(fields, wordAt(input).text).slice(0, 12);
    if (!found.length) return close();
    list.replaceChildren(
      ...found.map((each, index) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        const code = document.createElement("code");
        code.textContent = each.text;
        const hint = document.createElement("span");
        hint.textContent = each.hint;
        item.append(code, hint);
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          take(index);
        });
        return item;
      }),
    );
    chosen = -1;
    list.hidden = false;
    set("aria-expanded", "true");
  };
  const take = (index) => {
    const { start, text } = wordAt(input);
    const { text: wanted, isWhole } = found[index];
    input.setRangeText(wanted + (isWhole ? " " : ""), start, start + text.length, "end");
    show();
  };

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("click", show);
  input.addEventListener("blur", close);
  input.form?.addEventListener("submit", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) {
      if (event.key === "ArrowDown") show();
      return;
    }
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? found.length - 1 : chosen - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(chosen);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

export function prepareFilters(root) {
  for (const input of root.querySelectorAll("input[data-fields]")) {
    if (prepared.has(input)) continue;
    prepared.add(input);
    prepareFilter(input);
  }
}
