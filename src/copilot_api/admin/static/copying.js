// Copying, and secrets that are shown once.
import { toast } from "./toasts.js";

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or no HTTPS
  }
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copyFrom(button) {
  const element = button.dataset.copy ? document.querySelector(button.dataset.copy) : null;
  const text = button.dataset.copyText ?? element?.textContent ?? "";
  if (await copy(text)) return toast("Copied", "good");
  if (element) {
    delete element.dataset.masked;
    select(element);
  }
  toast("The browser does not let this page copy: it is selected, press Ctrl+C", "warn");
}

function reveal(button) {
  const element = document.querySelector(button.dataset.reveal);
  const isShown = "masked" in element.dataset;
  if (isShown) delete element.dataset.masked;
  else element.dataset.masked = "";
  button.setAttribute("aria-pressed", String(isShown));
  button.querySelector("span").textContent = isShown ? "Hide" : "Reveal";
}

export function listenForCopies() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-text], [data-reveal]");
    if (!button) return;
    if (button.dataset.reveal) reveal(button);
    else copyFrom(button);
  });
}

/**
 * Ask before a page is left whose secret nobody said to have stored. It is the answer to a form: loaded again, the form
 * would be sent again, so its address becomes that of the page behind it.
 */
export function guardSecrets(root) {
  for (const box of root.querySelectorAll("[data-secret]")) {
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    const stored = box.querySelector("[data-stored]");
    stored.addEventListener("click", () => removeEventListener("beforeunload", ask));
    if (new URL(stored.href).pathname !== location.pathname) history.replaceState(null, "", stored.href);
  }
}
