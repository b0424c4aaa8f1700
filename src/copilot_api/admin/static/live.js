// One connection a tab that says what has changed; then what shows it is fetched anew. None while the tab is hidden.
import { renew } from "./fragments.js";
import { keep, recall } from "./preferences.js";

const LEAST_MS = 1000; // between two fetches
let source = null;
let waiting = new Set();
let timer = null;
let isFetching = false;
let failures = 0;
let retry = null;

const elements = () => [...document.querySelectorAll("[data-live][data-fragment]")];
const topicsOf = (element) => element.dataset.live.split(/\s+/).filter(Boolean);
const button = () => document.querySelector("[data-live-switch]");
const isWanted = () => recall("live") !== "off";

function show() {
  const element = button();
  if (!element) return;
  element.setAttribute("aria-pressed", String(isWanted()));
  element.dataset.liveState = source && source.readyState === EventSource.OPEN ? "open" : isWanted() ? "waiting" : "off";
}

async function fetchWaiting() {
  timer = null;
  if (isFetching || document.hidden) return;
  const names = [...waiting];
  waiting = new Set();
  if (!names.length) return;
  isFetching = true;
  try {
    if ((await renew(location.href, names, { quiet: true })) === "signed-out") location.reload();
  } catch {
    // not there now: the connection will say so, and come back
  } finally {
    isFetching = false;
    timer = setTimeout(fetchWaiting, LEAST_MS);
  }
}

function note(topics) {
  for (const element of elements()) {
    if (!topics || topicsOf(element).some((topic) => topics.includes(topic))) waiting.add(element.dataset.fragment);
  }
  if (!timer && !isFetching) timer = setTimeout(fetchWaiting, 0);
}

function open() {
  close();
  const topics = [...new Set(elements().flatMap(topicsOf))].sort();
  const base = document.body.dataset.liveUrl;
  if (!topics.length || !base || !isWanted() || document.hidden) return show();
  source = new EventSource(`${base}?topics=${encodeURIComponent(topics.join(","))}`);
  source.addEventListener("open", () => {
    failures = 0;
    show();
  });
  source.addEventListener("changed", (event) => note(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source && source.readyState === EventSource.CLOSED) {
      // refused, not interrupted: the browser does not come back by itself
      failures += 1;
      if (failures === 1) note(null); // perhaps the session is over: asking for a part finds out
      retry = setTimeout(open, Math.min(60_000, 2 ** failures * 1000));
    }
    show();
  });
  show();
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

export function toggleLive() {
  keep("live", isWanted() ? "off" : null);
  if (isWanted()) note(null);
  open();
}

export function goLive() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-live-switch]")) toggleLive();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    if (isWanted()) note(null);
    open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
