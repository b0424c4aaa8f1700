// Rows that open something, walking through them, and which columns are shown.
import { keep, recall } from "./preferences.js";

const rows = () => [...document.querySelectorAll("table[data-rows] > tbody > tr[data-href]")].filter((row) => row.offsetParent);
const current = () => document.querySelector('tr[data-href][aria-selected="true"]');

function mark(row) {
  current()?.removeAttribute("aria-selected");
  row.setAttribute("aria-selected", "true");
  (row.querySelector("a.cell-main, a") || row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

/** Go `step` rows on, from the one that has the focus or was marked last. */
export function moveRow(step) {
  const all = rows();
  if (!all.length) return false;
  const at = all.indexOf(document.activeElement?.closest?.("tr[data-href]") || current());
  mark(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))]);
  return true;
}

export function openRow() {
  const row = current();
  if (!row) return false;
  location.assign(row.dataset.href);
  return true;
}

export function listenForRows() {
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (!row || event.defaultPrevented || event.target.closest("a, button, input, label, select, summary, details")) return;
    if (getSelection().toString()) return; // they wanted its text
    if (event.ctrlKey || event.metaKey) open(row.dataset.href, "_blank", "noopener");
    else location.assign(row.dataset.href);
  });
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-choose-all]");
    if (all) {
      for (const box of all.form.querySelectorAll(`input[name="${all.dataset.chooseAll}"]`)) box.checked = all.checked;
      return;
    }
    const picker = event.target.closest("[data-column-picker]");
    if (!picker) return;
    const hidden = [...picker.querySelectorAll("input:not(:checked)")].map((box) => box.value);
    keep(`columns.${picker.dataset.columnPicker}`, hidden.length ? hidden.join(",") : null);
    showColumns(picker);
  });
}

function showColumns(picker) {
  const name = picker.dataset.columnPicker;
  const table = document.getElementById(name);
  if (!table) return;
  const hidden = new Set((recall(`columns.${name}`) || "").split(",").filter(Boolean));
  for (const box of picker.querySelectorAll("input")) box.checked = !hidden.has(box.value);
  const heads = [...table.tHead.rows[0].cells];
  for (const row of table.rows) {
    if (row.cells.length !== heads.length) continue;
    heads.forEach((head, index) => (row.cells[index].hidden = hidden.has(head.dataset.column)));
  }
}

export function prepareTables(root) {
  const touched = root.querySelectorAll("[data-column-picker]").length || root.querySelectorAll("table[data-rows]").length || root.closest?.("table");
  if (touched) document.querySelectorAll("[data-column-picker]").forEach(showColumns);
}
