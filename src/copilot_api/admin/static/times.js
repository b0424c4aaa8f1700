// `<time data-time>`: in the zone that was chosen, and "3 min ago" for as long as it is true.
import { clock } from "./preferences.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [30 * 86400, 86400, "d"]];
const two = (value) => String(value).padStart(2, "0");

/** The parts of a moment, in UTC or here. */
export function parts(date, zone = clock()) {
  const utc = zone === "utc";
  return {
    year: utc ? date.getUTCFullYear() : date.getFullYear(),
    month: utc ? date.getUTCMonth() : date.getMonth(),
    day: utc ? date.getUTCDate() : date.getDate(),
    hour: two(utc ? date.getUTCHours() : date.getHours()),
    minute: two(utc ? date.getUTCMinutes() : date.getMinutes()),
    second: two(utc ? date.getUTCSeconds() : date.getSeconds()),
  };
}

function zoneName(date) {
  if (clock() === "utc") return "UTC";
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  if (!size) return "UTC";
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${size % 60 ? `:${two(size % 60)}` : ""}`;
}

export function fullText(date) {
  const p = parts(date);
  return `${p.year}-${two(p.month + 1)}-${two(p.day)} ${p.hour}:${p.minute}:${p.second} ${zoneName(date)}`;
}

export function minuteText(date) {
  const p = parts(date);
  return `${p.day} ${MONTHS[p.month]} ${p.hour}:${p.minute}`;
}

export function dayText(date) {
  const p = parts(date);
  return `${p.day} ${MONTHS[p.month]} ${p.year}`;
}

/** The shortest text that tells marks on an axis apart that are `step` seconds from each other. */
export function axisText(date, step) {
  const p = parts(date);
  if (step >= 86400) return `${p.day} ${MONTHS[p.month]}`;
  if (step >= 60) return p.hour === "00" && p.minute === "00" ? `${p.day} ${MONTHS[p.month]}` : `${p.hour}:${p.minute}`;
  return `${p.hour}:${p.minute}:${p.second}`;
}

export function relativeText(date, now = Date.now()) {
  const away = (date.getTime() - now) / 1000;
  const size = Math.abs(away);
  if (size < 1) return "just now";
  for (const [limit, unit, name] of STEPS) {
    if (size < limit) {
      const count = Math.floor(size / unit);
      return away > 0 ? `in ${count} ${name}` : `${count} ${name} ago`;
    }
  }
  return dayText(date);
}

function show(element) {
  const date = new Date(element.dateTime);
  if (Number.isNaN(date.getTime())) return;
  const style = element.dataset.time;
  let text = minuteText(date);
  if (style === "relative") text = relativeText(date);
  else if (style === "second") text = `${text}:${parts(date).second}`;
  else if (style === "day") text = dayText(date);
  const full = fullText(date);
  if (element.textContent !== text) element.textContent = text;
  if (element.title !== full) element.title = full;
}

export function showTimes(root) {
  root.querySelectorAll("time[data-time]").forEach(show);
}

document.addEventListener("capi:clock", () => showTimes(document));
setInterval(() => {
  if (!document.hidden) document.querySelectorAll('time[data-time="relative"]').forEach(show);
}, 10_000);
