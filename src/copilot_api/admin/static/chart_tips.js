// What stands under the pointer of a chart: the moment, every series, the sum, and what happened near.
import { exact } from "./numbers.js";
import { seriesClass } from "./palette.js";
import { fullText } from "./times.js";

const MOST = 12;

export function makeTip(box) {
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  box.append(tip);
  return tip;
}

export const hideTip = (state) => (state.tip.hidden = true);

function line(className, swatchClass, label, value) {
  const item = document.createElement("li");
  if (className) item.className = className;
  const swatch = document.createElement("span");
  if (swatchClass) swatch.className = `swatch ${swatchClass}`;
  const words = document.createElement("span");
  words.textContent = label;
  const figure = document.createElement("b");
  figure.textContent = value;
  item.append(swatch, words, figure);
  return item;
}

function fill(state, index, write) {
  const { content, kind, hidden, tip } = state;
  const head = document.createElement("h3");
  head.textContent = fullText(new Date(content.times[index] * 1000));
  const unit = state.figure.dataset.format === "short" && state.figure.dataset.unit ? ` ${state.figure.dataset.unit}` : "";
  const text = (value) => (state.figure.dataset.format === "short" ? exact(value) : write(value)) + unit;
  const known = content.series
    .filter(({ name }) => !hidden.has(name))
    .map((each) => ({ ...each, value: each.values[index] }))
    .filter(({ value }) => value !== null)
    .sort((a, b) => b.value - a.value);
  const list = document.createElement("ul");
  list.append(...known.slice(0, MOST).map(({ name, label, value }) => line("", seriesClass(name), label, text(value))));
  if (!known.length) list.append(line("", "", "nothing known", ""));
  if (known.length > MOST) list.append(line("", "", `${known.length - MOST} more`, ""));
  if (kind !== "line" && known.length > 1) list.append(line("total", "", "Total", text(known.reduce((sum, { value }) => sum + value, 0))));
  const step = content.times.length > 1 ? content.times[1] - content.times[0] : 60;
  const notes = content.marks
    .filter(({ at }) => Math.abs(at - content.times[index]) <= step)
    .map((mark) => {
      const note = document.createElement("span");
      note.className = "note-line";
      note.textContent = mark.text;
      return note;
    });
  tip.replaceChildren(head, list, ...notes);
}

/** A hook of uPlot; only the chart that the pointer is on shows one, though all show the line. */
export function showTip(plot, state, write) {
  const { idx, left, top } = plot.cursor;
  if (idx === null || idx === undefined || left < 0 || !plot.over.matches(":hover")) return hideTip(state);
  const { tip } = state;
  if (state.tipAt !== idx || tip.hidden || state.tipShape !== state.content) fill(state, idx, write);
  state.tipAt = idx;
  state.tipShape = state.content;
  tip.hidden = false;
  const origin = plot.over.offsetLeft;
  const room = plot.root.parentElement.clientWidth;
  const x = origin + left + 14 + tip.offsetWidth > room ? origin + left - tip.offsetWidth - 14 : origin + left + 14;
  tip.style.transform = `translate(${Math.max(0, Math.round(x))}px, ${Math.round(Math.min(Math.max(0, top - 20), Math.max(0, plot.root.clientHeight - tip.offsetHeight)))}px)`;
  return undefined;
}
