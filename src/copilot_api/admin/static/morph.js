// Makes one element like another while touching no more than differs: focus, open menus, scroll and text being typed stay.
const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") || node.id || null : null);
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

// What a reader or a script has done to an element, and the server does not know of.
const OWN = { DETAILS: ["open"], DIALOG: ["open"], TR: ["aria-selected"], TD: ["hidden"], TH: ["hidden"] };
const isOwn = (node, name) => (OWN[node.nodeName] || []).includes(name) || node.hasAttribute("data-own-attributes");

const isTypedIn = (node) => node === document.activeElement && /^(INPUT|TEXTAREA)$/.test(node.tagName) && !/^(checkbox|radio)$/.test(node.type);

function morphAttributes(from, to) {
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !isOwn(from, name)) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !isOwn(from, name)) from.removeAttribute(name);
  }
}

function morphNode(from, to) {
  if (from.nodeType === 1 && from.hasAttribute("data-script")) return; // what a script has put there
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== 1) {
    from.nodeValue = to.nodeValue;
    return;
  }
  if (isTypedIn(from)) return;
  morphAttributes(from, to);
  if (from.tagName === "INPUT") {
    from.value = to.value;
    from.checked = to.checked;
    return;
  }
  morphChildren(from, to);
}

/** Make the children of `from` those of `to`. */
export function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    const known = key ? keyed.get(key) : null;
    if (known && known.nodeName === wanted.nodeName) {
      if (known === at) at = at.nextSibling;
      else from.insertBefore(known, at);
      morphNode(known, wanted);
    } else if (at && alike(at, wanted) && !key) {
      const next = at.nextSibling;
      morphNode(at, wanted);
      at = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
