// One key each: `/` search, `j` `k` rows, `Enter` open, `e` edit, `l` live, `g` and a letter a page, `?` help, `Esc` out.
import { closeMenu, openDialog } from "./dialogs.js";
import { toggleLive } from "./live.js";
import { moveRow, openRow } from "./tables.js";

const WAIT_MS = 1200;
let goUntil = 0;

const isTyping = (element) => element.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

function goTo(letter) {
  document.querySelector(`[data-shortcut="${CSS.escape(letter)}"]`)?.click();
}

const KEYS = {
  "/": () => {
    const field = document.querySelector("[data-search]");
    field?.focus();
    field?.select();
    return Boolean(field);
  },
  "?": () => (openDialog("shortcuts"), true),
  g: () => ((goUntil = performance.now() + WAIT_MS), true),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  l: () => (toggleLive(), true),
  e: () => {
    const edit = document.querySelector("[data-edit]");
    edit?.click();
    return Boolean(edit);
  },
  Enter: () => openRow(),
  Escape: () => closeMenu(),
};

export function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && event.target.closest("a, button, summary, input")) return;
    const isGoing = performance.now() < goUntil;
    goUntil = 0;
    if (isGoing && /^[a-z]$/.test(event.key)) {
      event.preventDefault();
      return goTo(event.key);
    }
    if (KEYS[event.key]?.()) event.preventDefault();
  });
}
