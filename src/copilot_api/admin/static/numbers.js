// Numbers as `figures.py` writes them, for axes and tips.
const STEPS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const BYTES = [[1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"]];
const NARROW = "\u202f";
const digits = (value) => String(Number(value.toPrecision(3)));

export function short(value) {
  const size = Math.abs(Number(value.toPrecision(3)));
  for (const [step, letter] of STEPS) if (size >= step) return digits(value / step) + NARROW + letter;
  return digits(value);
}

export function seconds(value) {
  if (value === 0) return "0 s";
  if (Math.abs(value) < 0.9995) return `${value < 0.01 ? digits(value * 1000) : Math.round(value * 1000)} ms`;
  if (Math.abs(value) < 59.95) return `${digits(value)} s`;
  const minutes = value / 60;
  return minutes < 59.95 ? `${digits(minutes)} m` : `${digits(minutes / 60)} h`;
}

export const percent = (value) => `${digits(value * 100)}${NARROW}%`;

export function size(value) {
  for (const [step, name] of BYTES) if (Math.abs(value) >= step) return `${digits(value / step)} ${name}`;
  return `${digits(value)} B`;
}

export const exact = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 6 });

const FORMATS = { short, seconds, percent, size };

/** The function of that name; `short` for one that is not known. */
export const format = (name) => FORMATS[name] || short;

/** What stands in a cell of a table: null for a dash. */
export function parse(text) {
  const value = Number(text.replaceAll(",", ""));
  return text.trim() === "" || Number.isNaN(value) ? null : value;
}
