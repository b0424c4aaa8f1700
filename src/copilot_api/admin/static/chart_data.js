// What a chart shows, read from its table; and sums of what stands on each other.
import { parse } from "./numbers.js";

/** Times in seconds, series with their values, limits and marks. */
export function readSeries(figure, table) {
  const heads = [...table.tHead.rows[0].cells].slice(1);
  const rows = [...table.tBodies[0].rows];
  const seconds = (text) => Date.parse(text) / 1000;
  return {
    times: rows.map((row) => seconds(row.cells[0].querySelector("time").dateTime)),
    series: heads.map((head, index) => ({
      name: head.dataset.series,
      label: head.textContent.trim(),
      values: rows.map((row) => parse(row.cells[index + 1].textContent)),
    })),
    limits: [...figure.querySelectorAll("[data-limit]")].map((each) => ({ value: Number(each.dataset.limit), label: each.textContent.split(":")[0].trim() })),
    marks: [...figure.querySelectorAll("[data-at]")].map((each) => ({ at: seconds(each.dataset.at), tone: each.dataset.tone, text: each.dataset.text })),
  };
}

/** Each series on top of those before it; a gap where nothing is known of any. */
export function stack(values) {
  const sums = new Array(values[0]?.length ?? 0).fill(0);
  const known = sums.map((_, index) => values.some((row) => row[index] !== null));
  return values.map((row) => row.map((value, index) => (known[index] ? (sums[index] += value ?? 0) : null)));
}
