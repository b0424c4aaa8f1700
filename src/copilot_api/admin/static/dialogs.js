// Dialogs and menus: opened by links that also work without us, closed by Escape and by a click beside them.
export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.showModal(); // keeps the focus in it, and gives it back
  const wish = dialog.querySelector("[autofocus], [data-close].button:not(.button-icon)");
  if (wish) wish.focus();
}

const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.open = false;
};

/** Close the menu that is open, if there is one, and give the focus back to what opened it. */
export function closeMenu() {
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return false;
  menu.open = false;
  menu.querySelector("summary").focus();
  return true;
}

export function listenForDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      event.preventDefault();
      closeMenus(null);
      return openDialog(opener.dataset.dialog);
    }
    const closer = event.target.closest("dialog [data-close]");
    if (closer) {
      event.preventDefault();
      return closer.closest("dialog").close();
    }
    if (event.target.nodeName === "DIALOG") event.target.close(); // its backdrop: what is in it is another target
    closeMenus(event.target.closest("details[data-menu]"));
  });
  document.addEventListener("keydown", (event) => {
    const opener = event.target.closest?.('a[role="button"][data-dialog]');
    if (opener && event.key === " ") {
      event.preventDefault();
      opener.click();
    }
  });
}
