// Short words at the edge that go away by themselves. What matters longer belongs on the page.
const SECONDS = { good: 5, info: 5, warn: 10, bad: 15 };

export function toast(text, tone = "info") {
  const box = document.getElementById("toasts");
  if (!box) return;
  const element = document.createElement("div");
  element.className = `toast toast-${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => element.remove());
  element.append(words, close);
  box.append(element);
  while (box.children.length > 4) box.firstElementChild.remove();
  let timer = setTimeout(() => element.remove(), SECONDS[tone] * 1000);
  element.addEventListener("pointerenter", () => clearTimeout(timer));
  element.addEventListener("pointerleave", () => (timer = setTimeout(() => element.remove(), 2000)));
}

/** Those that the server wants shown. */
export function showToasts(root) {
  for (const element of root.querySelectorAll("[data-toast]")) {
    toast(element.querySelector("template").content.textContent.trim(), element.dataset.toast);
    element.remove();
  }
}
