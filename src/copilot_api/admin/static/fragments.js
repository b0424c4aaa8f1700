// Renews parts of a page: `data-update` on links and GET forms, and whatever is live. The URL stays the state.
import { morphChildren } from "./morph.js";
import { toast } from "./toasts.js";

const listeners = [];
let latest = 0;

/** Hear of each element whose content was renewed. */
export const onRenewed = (listener) => listeners.push(listener);

const holder = (name) => document.querySelector(`[data-fragment="${CSS.escape(name)}"]`);

/** Fetch these fragments of `url` and put them in place: "done", "signed-out", or "whole" where the whole page is needed. */
export async function renew(url, names, { quiet = false, signal } = {}) {
  const wanted = names.filter(holder);
  if (!wanted.length) return "done";
  if (!quiet) for (const name of wanted) holder(name).setAttribute("aria-busy", "true");
  try {
    const headers = { "X-Fragment": wanted.join(","), ...(quiet && { "X-Live": "1" }) }; // no use of the session
    const response = await fetch(url, { headers, redirect: "manual", signal });
    if (response.type === "opaqueredirect" || response.status === 401) return "signed-out";
    const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
    const templates = new Map([...parsed.querySelectorAll("template[data-fragment]")].map((each) => [each.dataset.fragment, each]));
    if (!wanted.every((name) => templates.has(name))) return "whole";
    for (const name of wanted) {
      const element = holder(name);
      if (!element) continue;
      morphChildren(element, templates.get(name).content);
      for (const listener of listeners) listener(element);
    }
    return "done";
  } finally {
    for (const name of wanted) holder(name)?.removeAttribute("aria-busy");
  }
}

/** Go to another state of this page: in place where these fragments suffice, else by loading it. */
export function visit(url, names) {
  if (names.length) go(url, names, true);
  else location.assign(url);
}

async function go(url, names, push) {
  const mine = (latest += 1);
  try {
    const outcome = await renew(url, names);
    if (mine !== latest) return;
    if (outcome !== "done") location.assign(url);
    else if (push) history.pushState({ fragments: names }, "", url);
  } catch {
    toast("The gateway does not answer. What you see is from before.", "bad");
  }
}

const namesOf = (element) => element.dataset.update.split(/[\s,]+/).filter(Boolean);

function formUrl(form, submitter) {
  const url = new URL(form.action);
  url.search = new URLSearchParams([...new FormData(form, submitter)].filter(([, value]) => value !== "")).toString();
  return url.href;
}

export function listenForUpdates() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-update]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href, namesOf(link), true);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.update || form.method !== "get" || event.defaultPrevented) return;
    event.preventDefault();
    go(formUrl(form, event.submitter), namesOf(form), true);
  });
  // A form that has no button: each choice is the answer.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && "auto" in form.dataset) form.requestSubmit();
  });
  // A first state of its own, so that going back to it is heard of too.
  if (!history.state) history.replaceState({ fragments: null }, "");
  addEventListener("popstate", () => {
    // What lay between the two entries may have changed any of them.
    const all = [...document.querySelectorAll("[data-fragment]")].map((each) => each.dataset.fragment);
    if (location.hash && !all.length) return;
    go(location.href, all, false);
  });
}
