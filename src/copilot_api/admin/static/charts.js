// Draws the tables of `<figure data-chart>` with uPlot, which is fetched only where there is one.
import { readSeries, stack } from "./chart_data.js";
import { hideTip, makeTip, showTip } from "./chart_tips.js";
import { visit } from "./fragments.js";
import { format } from "./numbers.js";
import { readColours, seriesClass, seriesSlot } from "./palette.js";
import { clock } from "./preferences.js";
import { axisText } from "./times.js";

const drawn = new Map(); // the figure -> what belongs to it
let library = null;

function load() {
  library ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("uplot.css", import.meta.url).href;
    const script = document.createElement("script");
    script.src = new URL("uplot.js", import.meta.url).href;
    script.addEventListener("load", () => resolve(globalThis.uPlot));
    script.addEventListener("error", reject);
    document.head.append(style, script);
  });
  return library;
}

function coloursNow() {
  const expressions = { text: "var(--text-muted)", line: "var(--line)", strong: "var(--line-strong)", bad: "var(--bad)", warn: "var(--warn)", accent: "var(--accent)" };
  for (const slot of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
    const name = slot ? `--series-${slot}` : "--series-other";
    expressions[`s${slot}`] = `var(${name})`;
    expressions[`f${slot}`] = `color-mix(in srgb, var(${name}) 62%, var(--surface-1))`;
    expressions[`g${slot}`] = `color-mix(in srgb, var(${name}) 34%, var(--surface-1))`;
  }
  return readColours(expressions);
}

/** Which of them have the colour of one before. */
function secondOnes(series) {
  const seen = new Set();
  return series.map(({ name }) => seen.has(seriesSlot(name)) || !seen.add(seriesSlot(name)));
}

/** How each series looks: its colour by its name; a second one of the same colour is dashed, or paler. */
function looksOf(series, kind, colours) {
  const second = secondOnes(series);
  return series.map(({ name }, index) => {
    const slot = seriesSlot(name);
    const isSecond = second[index];
    const fill = kind === "bars" ? (isSecond ? `f${slot}` : `s${slot}`) : isSecond ? `g${slot}` : `f${slot}`;
    return { stroke: colours[`s${slot}`], fill: kind === "line" ? null : colours[fill], dash: isSecond && kind === "line" ? [5, 3] : null };
  });
}

function drawLimits(plot, state) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px ${state.font}`;
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  ctx.lineWidth = ratio;
  for (const { value, label } of state.content.limits) {
    const y = Math.round(plot.valToPos(value, "y", true));
    ctx.strokeStyle = ctx.fillStyle = state.colours.bad;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.fillText(label, bbox.left + bbox.width, y - 2 * ratio);
  }
  for (const { at, tone } of state.content.marks) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = tone === "incident" ? state.colours.bad : state.colours.accent;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, bbox.top);
    ctx.lineTo(x + 4 * ratio, bbox.top);
    ctx.lineTo(x, bbox.top + 6 * ratio);
    ctx.fill();
  }
  ctx.restore();
}

function zoomUrl(since, until) {
  const url = new URL(location.href);
  const text = (seconds) => new Date(Math.round(seconds / 60) * 60_000).toISOString().slice(0, 16);
  for (const name of ["range", "after", "before"]) url.searchParams.delete(name);
  url.searchParams.set("since", text(since));
  url.searchParams.set("until", text(Math.max(until, since + 60)));
  return url.href;
}

function zoomIn(plot, state) {
  const { left, width } = plot.select;
  if (width < 4) return;
  const since = plot.posToVal(left, "x");
  const until = plot.posToVal(left + width, "x");
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (state.isZoomable) visit(zoomUrl(since, until), state.updates);
  else plot.setScale("x", { min: since, max: until });
}

function zoomOut(plot, state) {
  const [times] = plot.data;
  const [since, until] = [times[0], times.at(-1)];
  if (!state.isZoomable) return plot.setScale("x", { min: since, max: until });
  const span = Math.max(60, until - since);
  return visit(zoomUrl(since - span / 2, Math.min(Date.now() / 1000, until + span / 2)), state.updates);
}

function options(uPlot, state, box) {
  const { colours, content, kind } = state;
  const write = format(state.figure.dataset.format);
  const axis = { stroke: colours.text, font: `11px ${state.font}`, grid: { stroke: colours.line, width: 1 }, ticks: { show: false } };
  const highest = Math.max(0, ...content.limits.map(({ value }) => value));
  const looks = looksOf(content.series, kind, colours);
  const step = content.times.length > 1 ? content.times[1] - content.times[0] : 60;
  const edge = kind === "bars" ? step / 2 : content.times.length < 2 ? step : 0;
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [10, 20, 0, 0],
    legend: { show: false },
    tzDate: (seconds) => (clock() === "utc" ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000)),
    cursor: {
      y: false,
      sync: { key: state.figure.dataset.group, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6, show: kind === "bars" ? false : undefined },
      bind: { dblclick: () => () => (zoomOut(state.plot, state), null) },
    },
    scales: { x: { time: true, range: (_, low, high) => [low - edge, high + edge] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, highest) * 1.08 || 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 64, size: 26, values: (_, splits, __, ___, step) => splits.map((each) => axisText(new Date(each * 1000), step)) },
      { ...axis, space: 34, size: 52, values: (_, splits) => splits.map(write) },
    ],
    series: [
      {},
      ...state.order.map((index) => ({
        label: content.series[index].name,
        stroke: looks[index].stroke,
        fill: looks[index].fill ?? undefined,
        dash: looks[index].dash ?? undefined,
        width: kind === "bars" ? 0 : 1.5,
        points: { show: kind !== "bars" && content.times.length < 3 },
        paths: kind === "bars" ? uPlot.paths.bars({ size: [0.8, 48], gap: 1 }) : uPlot.paths.linear(),
      })),
    ],
    hooks: {
      draw: [(plot) => drawLimits(plot, state)],
      setSelect: [(plot) => zoomIn(plot, state)],
      setCursor: [(plot) => showTip(plot, state, write)],
    },
  };
}

/** What uPlot is given: the visible series, summed up where they stand on each other. */
function dataOf(state) {
  const { content, kind, hidden } = state;
  const values = content.series.map(({ name, values: known }) => (hidden.has(name) ? known.map(() => null) : known));
  const shown = kind === "line" ? values : stack(values);
  return [content.times, ...state.order.map((index) => (hidden.has(content.series[index].name) ? values[index] : shown[index]))];
}

function drawLegend(state) {
  const legend = state.figure.querySelector(".chart-legend");
  const second = secondOnes(state.content.series);
  legend.replaceChildren(
    ...state.content.series.map(({ name, label }, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!state.hidden.has(name)));
      const swatch = document.createElement("span");
      swatch.className = `swatch ${seriesClass(name)}${second[at] ? " swatch-second" : ""}`;
      const words = document.createElement("span");
      words.className = "name";
      words.textContent = label;
      button.append(swatch, words);
      button.title = "Click: show or hide. Double-click: only this one.";
      const toggle = () => {
        if (!state.hidden.delete(name)) state.hidden.add(name);
        redraw();
      };
      const only = () => {
        const others = state.content.series.map((each) => each.name).filter((each) => each !== name);
        state.hidden = others.every((each) => state.hidden.has(each)) ? new Set() : new Set(others);
        redraw();
      };
      const redraw = () => {
        [...legend.children].forEach((each, index) => each.setAttribute("aria-pressed", String(!state.hidden.has(state.content.series[index].name))));
        state.plot.setData(dataOf(state));
      };
      button.addEventListener("click", toggle);
      button.addEventListener("dblclick", only);
      return button;
    }),
  );
}

function create(uPlot, figure) {
  const box = figure.querySelector("[data-plot]");
  const state = drawn.get(figure);
  state.plot?.destroy();
  state.colours = coloursNow();
  state.font = getComputedStyle(document.body).fontFamily;
  box.replaceChildren();
  state.tip = makeTip(box);
  state.plot = new uPlot(options(uPlot, state, box), dataOf(state), box);
  box.dataset.drawn = "";
  drawLegend(state);
  if (!state.watch) {
    state.watch = new ResizeObserver(() => {
      if (box.clientWidth && box.clientWidth !== state.plot.width) state.plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    });
    state.watch.observe(box);
    box.addEventListener("pointerleave", () => hideTip(state));
  }
}

const shapeOf = (content, kind) => JSON.stringify([kind, content.series.map(({ name, label }) => [name, label]), content.limits]);

async function draw(figure) {
  const table = figure.querySelector("table[data-twin]");
  if (!table) return;
  const content = readSeries(figure, table);
  const kind = figure.dataset.chart;
  const known = drawn.get(figure);
  const state = known ?? { figure, hidden: new Set() };
  const shape = shapeOf(content, kind);
  const isSame = known?.shape === shape && known.plot;
  Object.assign(state, { content, kind, shape, isZoomable: "zoom" in figure.dataset, updates: (figure.dataset.zoom || "").split(/\s+/).filter(Boolean) });
  // What stands on all the others is drawn first, so that each covers the foot of the one above.
  state.order = content.series.map((_, index) => (kind === "line" ? index : content.series.length - 1 - index));
  drawn.set(figure, state);
  if (isSame) return state.plot.setData(dataOf(state));
  const uPlot = await load();
  if (figure.isConnected && drawn.get(figure)?.shape === shape) create(uPlot, figure);
}

export function drawCharts(root) {
  for (const [figure, state] of drawn) {
    if (figure.isConnected) continue;
    state.watch?.disconnect();
    state.plot?.destroy();
    drawn.delete(figure);
  }
  root.querySelectorAll("figure[data-chart]").forEach(draw);
}

for (const what of ["theme", "clock"]) {
  document.addEventListener(`capi:${what}`, async () => {
    if (!drawn.size) return;
    const uPlot = await load();
    for (const figure of drawn.keys()) create(uPlot, figure);
  });
}
