// How texts are looked at: two answers scrolled together, their differences marked, upsetting texts blurred.  None of it is
// part of an answer; how somebody likes it is remembered in this browser, for them alone.

import { diff } from "./diff.js";
import { all, announce, find, recall, remember, task, user } from "./page.js";

// Words, numbers and single signs; scripts without spaces between words go sign by sign.
const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}\p{N}]+|\S/gu;
const panes = all(".cards.of-2 .pane");
const moved = new WeakMap(); // pane -> where it was put: scrolling that nobody did

// name -> [what it does, what is said when it is on, when it is off]
const VIEWS = {
  link: [linked, "The answers scroll together", "Each answer scrolls with the page"],
  diff: [marked, "Differences are marked", "Differences are not marked"],
  veil: [veiled, "Texts are blurred", "Texts are not blurred"],
};

function linked(on) {
  for (const pane of panes) {
    pane.parentElement.parentElement.classList.toggle("linked", on);
    if (on) pane.tabIndex = 0; // what scrolls is reached by the keyboard
    else pane.removeAttribute("tabindex");
  }
}

// In proportion: the end of the one is read beside the end of the other.
function follow(event) {
  const from = event.currentTarget;
  const to = panes.find((pane) => pane !== from);
  const room = (pane) => pane.scrollHeight - pane.clientHeight;
  if (moved.get(from) === from.scrollTop || room(from) <= 0) return;
  to.scrollTop = (room(to) * from.scrollTop) / room(from);
  moved.delete(from);
  moved.set(to, to.scrollTop);
}

// The words that stand in one text only, within the text as it is rendered: nothing is written but <mark> around them.
function marked(on) {
  const hint = find("#differences");
  hint.textContent = "";
  for (const mark of all("mark[data-own]")) {
    const around = mark.parentNode;
    mark.replaceWith(...mark.childNodes);
    around.normalize();
  }
  if (!on) return "";
  const [a, b] = panes.map((pane) => wordsIn(find(".text", pane)));
  const found = diff(a.map((one) => one.word), b.map((one) => one.word));
  if (!found) return (hint.textContent = "Too long to be compared word by word.");
  let [i, j] = [0, 0];
  const own = { del: [], ins: [] };
  for (const [kind] of found) {
    if (kind) own[kind].push(kind === "del" ? a[i] : b[j]);
    i += kind !== "ins";
    j += kind !== "del";
  }
  for (const words of Object.values(own)) mark(words);
  const [ours, theirs] = [own.del, own.ins].map((words) => words.filter((one) => /[\p{L}\p{N}]/u.test(one.word)).length);
  const differ = own.del.length + own.ins.length;
  return (hint.textContent = differ ? `Only in A: ${count(ours)}. Only in B: ${count(theirs)}.` : "The same, word for word.");
}

const count = (n) => `${n} word${n === 1 ? "" : "s"}`;

function wordsIn(text) {
  const found = [];
  const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    for (const one of node.data.matchAll(WORD)) found.push({ node, word: one[0], from: one.index, to: one.index + one[0].length });
  }
  return found;
}

// Neighbours with nothing but space between them are one mark.  From the last to the first: places before it stay right.
function mark(words) {
  const runs = [];
  for (const { node, from, to } of words) {
    const last = runs.at(-1);
    if (last?.node === node && !node.data.slice(last.to, from).trim()) last.to = to;
    else runs.push({ node, from, to });
  }
  for (const { node, from, to } of runs.reverse()) {
    const range = document.createRange();
    range.setStart(node, from);
    range.setEnd(node, to);
    const made = document.createElement("mark");
    made.dataset.own = "";
    range.surroundContents(made);
  }
}

function veiled(on) {
  task.dataset.veil = on ? "on" : "off"; // the page comes with "on": nothing is seen before this has run
  for (const message of all(".message.theirs")) {
    if (on) message.tabIndex = 0;
    else message.removeAttribute("tabindex");
  }
}

export function start() {
  const able = matchMedia("(scripting: enabled)").matches; // else the style sheet blurs nothing
  for (const button of all("[data-view]")) {
    const name = button.dataset.view;
    if (name === "veil" && !able) continue;
    const [act, on, off] = VIEWS[name];
    const key = `heed ${user} ${name}`;
    const set = (now) => {
      button.setAttribute("aria-pressed", now);
      return act(now);
    };
    button.hidden = false;
    set((recall(key) ?? (name === "veil" ? "on" : "off")) === "on");
    button.addEventListener("click", () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      remember(key, now ? "on" : "off");
      announce(set(now) || (now ? on : off));
    });
  }
  for (const pane of panes) pane.addEventListener("scroll", follow, { passive: true });
}
