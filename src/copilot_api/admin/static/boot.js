// Runs before anything is painted: the theme that was chosen, and that there are scripts.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("capi.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    root.dataset.clock = localStorage.getItem("capi.clock") === "utc" ? "utc" : "local";
  } catch {
    root.dataset.clock = "local"; // storage is forbidden: the choice lasts as long as the page
  }
})();
