// The live tail of captures: rows as they come, paused and gone on with where it was left.
import { showTimes } from "./times.js";

const MOST_ROWS = 200;
const box = document.querySelector("[data-tail]");

if (box) follow(box);

function follow(box) {
  const body = box.querySelector("tbody");
  const state = box.querySelector("[data-tail-state]");
  const pause = box.querySelector("[data-tail-pause]");
  const empty = box.querySelector("[data-tail-empty]");
  const icons = pause.querySelector("use");
  let source = null;
  let last = null; // the number behind which to go on
  let isPaused = false;
  let shown = 0;
  let missed = 0;
  let failures = 0;
  let retry = null;

  const say = (text, tone) => {
    state.className = `badge badge-${tone}`;
    if (state.textContent !== text) state.textContent = text;
  };
  const count = () => {
    const lost = missed ? `, ${missed} came and went unseen` : "";
    box.querySelector("[data-tail-count]").textContent = shown || missed ? `${shown} shown${lost}` : "";
    empty.hidden = body.rows.length > 0;
    box.querySelector(".table-wrap").hidden = body.rows.length === 0;
  };
  const put = (row) => {
    body.prepend(row);
    while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
    count();
  };
  const note = (event) => {
    if (event.lastEventId) last = event.lastEventId;
  };

  function putTrace(event) {
    note(event);
    const holder = document.createElement("template");
    holder.innerHTML = JSON.parse(event.data).html;
    const row = holder.content.querySelector("tr");
    if ([...body.rows].some((each) => each.dataset.key === row.dataset.key)) return;
    showTimes(row);
    shown += 1;
    put(row);
  }

  function putGap(event) {
    const gap = JSON.parse(event.data).missed;
    missed += gap;
    const row = document.createElement("tr");
    const cell = row.insertCell();
    cell.colSpan = box.querySelectorAll("thead th").length;
    cell.className = "muted";
    cell.textContent = `${gap} are missing here: they came faster than they could be told, or are not in memory any more. The list may have them.`;
    put(row);
  }

  function open() {
    close();
    if (isPaused) return say("Paused", "warn");
    if (document.hidden) return;
    const url = new URL(box.dataset.tail, location.href);
    if (last !== null) url.searchParams.set("after", last);
    source = new EventSource(url);
    source.addEventListener("open", () => {
      failures = 0;
      say("Following", "good");
    });
    source.addEventListener("start", note);
    source.addEventListener("passed", note);
    source.addEventListener("trace", putTrace);
    source.addEventListener("gap", putGap);
    source.addEventListener("error", () => {
      say("Reconnecting", "warn");
      if (!source || source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      failures += 1;
      retry = setTimeout(open, Math.min(60_000, 2 ** failures * 1000));
    });
  }

  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    pause.querySelector("span").textContent = isPaused ? "Resume" : "Pause";
    icons.setAttribute("href", icons.getAttribute("href").replace(/#.*/, isPaused ? "#play" : "#pause"));
    open();
  });
  box.querySelector("[data-tail-clear]").addEventListener("click", () => {
    body.replaceChildren();
    shown = missed = 0;
    count();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  count();
  open();
}
