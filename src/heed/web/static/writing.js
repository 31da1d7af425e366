// Fields that grow with what is in them, a count of words, and what an edit changed.

import { diff } from "./diff.js";
import { all, find, form } from "./page.js";

const LARGEST = 2e6; // cells of the comparison, which is made anew with every letter

export function start() {
  for (const area of all("[data-grow]")) {
    const least = area.rows;
    const grow = () => {
      const lines = area.value.split("\n").reduce((sum, line) => sum + 1 + Math.floor((line.length * 8) / area.clientWidth), 1);
      area.rows = Math.max(least, Math.min(40, lines));
    };
    area.addEventListener("input", grow);
    if (area.value) grow();
  }
  const area = find("#text", form ?? document);
  const counter = find("#counter");
  const original = find("#diff") && area.defaultValue && find(".card .raw");
  if (!counter) return;
  const least = Number(counter.dataset.least);
  const show = () => {
    const words = area.value.trim().split(/\s+/).filter(Boolean).length;
    const short = least > 1 && area.value.trim().length < least ? `; at least ${least} characters` : "";
    counter.textContent = `${words} word${words === 1 ? "" : "s"}${short}`;
    if (original) changes(original.textContent, area.value);
  };
  area.addEventListener("input", show);
  form.addEventListener("filled", show);
  show();
}

// What is only in the one was removed, what is only in the other was added.
function changes(before, after) {
  const words = (text) => text.match(/\s+|[^\s]+/g) ?? [];
  const found = before === after ? null : diff(words(before), words(after), LARGEST);
  find("#diff").hidden = !found;
  if (!found) return;
  const parts = [];
  for (const [kind, text] of found) {
    if (parts.at(-1)?.[0] === kind) parts.at(-1)[1] += text;
    else parts.push([kind, text]);
  }
  find("#diff-text").replaceChildren(...parts.map(([kind, text]) => {
    if (!kind) return text;
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }));
}
