// Fields that grow with what is in them, a count of words, and what an edit changed.

import { all, find, form } from "./page.js";

const MOST = 1500; // words compared; beyond that the table would be felt

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
    if (original) diff(original.textContent, area.value);
  };
  area.addEventListener("input", show);
  form.addEventListener("filled", show);
  show();
}

// The longest common subsequence of words; what is only in the one was removed, what is only in the other was added.
function diff(before, after) {
  const a = before.match(/\s+|[^\s]+/g) ?? [];
  const b = after.match(/\s+|[^\s]+/g) ?? [];
  const place = find("#diff");
  place.hidden = before === after || Math.max(a.length, b.length) > MOST;
  if (place.hidden) return;
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  }
  const parts = [];
  const add = (kind, text) => {
    if (parts.at(-1)?.[0] === kind) parts.at(-1)[1] += text;
    else parts.push([kind, text]);
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) add("", a[i++], j++);
    else if (j < b.length && (i === a.length || table[i][j + 1] > table[i + 1][j])) add("ins", b[j++]);
    else add("del", a[i++]);
  }
  find("#diff-text").replaceChildren(...parts.map(([kind, text]) => {
    if (!kind) return text;
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }));
}
