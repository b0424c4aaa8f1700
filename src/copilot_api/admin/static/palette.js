// Which colour a series has, by its name: the same as `palette.py` says.
export const COLOURS = 8;

export function seriesSlot(name) {
  if (name === "other") return 0;
  let value = 0x811c9ef3;
  for (const byte of new TextEncoder().encode(name)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  value = (value ^ (value >>> 15)) >>> 0;
  return (value % COLOURS) + 1;
}

export const seriesClass = (name) => (seriesSlot(name) ? `series-${seriesSlot(name)}` : "series-other");

/** What colours of the stylesheet are just now, by names for them; a canvas cannot ask for them itself. */
export function readColours(expressions) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const found = {};
  for (const [name, expression] of Object.entries(expressions)) {
    probe.style.color = expression;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
