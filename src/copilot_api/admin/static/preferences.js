// What a reader chose for this browser: theme, UTC or local, live or not, columns.
const PREFIX = "capi.";

export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // forbidden: it lasts as long as the page
  }
}

const root = document.documentElement;

export const clock = () => root.dataset.clock || "local";

/** Tells everyone who draws with colours or times that they look different now. */
const announce = (what) => document.dispatchEvent(new CustomEvent(`capi:${what}`));

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

function chooseTheme(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  keep("theme", theme === "auto" ? null : theme);
  announce("theme");
}

function chooseClock(value) {
  root.dataset.clock = value;
  keep("clock", value);
  announce("clock");
}

export function showPreferences(scope) {
  const theme = root.dataset.theme || "auto";
  for (const button of scope.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
  for (const button of scope.querySelectorAll("[data-clock-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.clockChoice === clock()));
  }
}

export function listenForPreferences() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice], [data-theme-toggle], [data-clock-choice]");
    if (!button) return;
    if (button.dataset.themeChoice) chooseTheme(button.dataset.themeChoice);
    else if ("themeToggle" in button.dataset) chooseTheme(isDark() ? "light" : "dark");
    else chooseClock(button.dataset.clockChoice);
    showPreferences(document);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => announce("theme"));
}
