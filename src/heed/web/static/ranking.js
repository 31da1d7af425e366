// The order of the answers, drawn from the radio buttons and written back to them: they are the only place where ranks live.
// Digits, buttons and dragging are other ways of pressing them.

import { touched } from "./answer.js";
import { all, announce, find, form } from "./page.js";

const strip = find("#strip");
const letters = all("[data-rank]").map((set) => set.dataset.rank);
const history = [];
const input = (letter, rank) => form.elements[`ranks.${letter}`] && all(`input[name="ranks.${letter}"]`).find((one) => one.value === String(rank));

export const rankOf = (letter) => Number(all(`input[name="ranks.${letter}"]`).find((one) => one.checked)?.value ?? 0);

// [[A, C], [B]]: the best first.
export function levels() {
  const by = new Map();
  for (const letter of letters) {
    const rank = rankOf(letter);
    if (rank) by.set(rank, [...(by.get(rank) ?? []), letter]);
  }
  return [...by.keys()].sort((a, b) => a - b).map((rank) => by.get(rank));
}

function write(order) {
  order = order.filter((level) => level.length);
  order.forEach((level, i) => level.forEach((letter) => (input(letter, i + 1).checked = true)));
  touched();
  draw();
}

function remember() {
  history.push(letters.map(rankOf));
}

export function undoStep() {
  const before = history.pop();
  if (!before) return;
  letters.forEach((letter, i) => {
    for (const one of all(`input[name="ranks.${letter}"]`)) one.checked = one.value === String(before[i]);
  });
  touched();
  draw();
  announce("Undone");
}

export function setRank(letter, rank) {
  if (!input(letter, rank)) return;
  remember();
  input(letter, rank).checked = true;
  touched();
  draw();
  say(letter);
}

// Put `letter` at `place`: onto a level (tied with it) or into the gap before it.
export function put(letter, place, onto) {
  remember();
  const order = levels();
  const target = order[place];
  const rest = order.map((level) => level.filter((one) => one !== letter));
  if (onto && target) rest[place].push(letter);
  else rest.splice(place, 0, [letter]);
  write(rest);
  say(letter);
}

export function move(letter, by) {
  const order = levels();
  const at = order.findIndex((level) => level.includes(letter));
  if (at < 0) return put(letter, order.length, false);
  const tied = order[at].length > 1;
  if (by < 0) return tied ? put(letter, at, false) : at > 0 && put(letter, at - 1, false);
  if (tied) return put(letter, at + 1, false);
  return at < order.length - 1 && put(letter, at + 2, false);
}

export function tie(letter) {
  const order = levels();
  const at = order.findIndex((level) => level.includes(letter));
  if (at > 0) put(letter, at - 1, true);
  else if (at < 0 && order.length) put(letter, order.length - 1, true);
}

function say(letter) {
  const order = levels();
  const at = order.findIndex((level) => level.includes(letter));
  const others = order[at].filter((one) => one !== letter);
  announce(`${letter} at rank ${at + 1} of ${order.length}${others.length ? `, tied with ${others.join(" and ")}` : ""}`);
}

function draw() {
  const focused = document.activeElement?.dataset?.act;
  const whose = document.activeElement?.closest?.("[data-chip]")?.dataset.chip;
  const order = levels();
  find("#levels").replaceChildren(...order.map((level, i) => {
    const item = document.createElement("li");
    item.className = level.length > 1 ? "level tied" : "level";
    item.dataset.level = i;
    item.append(...level.map(chip));
    return item;
  }));
  const left = letters.filter((letter) => !rankOf(letter));
  const words = document.createElement("span");
  words.className = "hint";
  words.textContent = "Not ranked yet";
  find("#unranked").replaceChildren(...(left.length ? [words, ...left.map(chip)] : []));
  find("#left-to-do").textContent = left.length ? `${left.length} to rank` : "";
  if (focused) find(`[data-chip="${whose}"] [data-act="${focused}"]`)?.focus();
}

const ACTS = [["grip", "⠿", "Drag"], ["up", "↑", "Move up"], ["down", "↓", "Move down"], ["tie", "=", "Tie with the one above"]];

function chip(letter) {
  const made = document.createElement("span");
  made.className = "placed";
  made.dataset.chip = letter;
  const name = document.createElement("b");
  name.textContent = letter;
  const buttons = ACTS.map(([act, sign, words]) => {
    const button = document.createElement(act === "grip" ? "span" : "button");
    button.dataset.act = act;
    button.textContent = sign;
    if (act === "grip") {
      button.className = "grip";
      button.title = words;
      button.setAttribute("aria-hidden", "true");
    } else {
      button.type = "button";
      button.setAttribute("aria-label", `${words}: ${letter}`);
    }
    return button;
  });
  made.append(buttons[0], name, ...buttons.slice(1));
  return made;
}

// Dragging begins on the grip only, after 8 pixels: whoever scrolls changes nothing.
function drag(event) {
  const grip = event.target.closest?.(".grip");
  if (!grip || event.button) return;
  const held = grip.closest("[data-chip]");
  const letter = held.dataset.chip;
  const from = [event.clientX, event.clientY];
  let far = false;
  let place = null;
  grip.setPointerCapture(event.pointerId);
  const unmark = () => all(".level").forEach((one) => one.classList.remove("onto", "before", "after"));
  const moved = (now) => {
    far ||= Math.hypot(now.clientX - from[0], now.clientY - from[1]) > 8;
    if (!far) return;
    held.classList.add("dragged");
    unmark();
    place = where(now.clientY);
    if (place) place.level.classList.add(place.mark);
  };
  const end = (now) => {
    grip.removeEventListener("pointermove", moved);
    unmark();
    held.classList.remove("dragged");
    if (now.type !== "pointerup" || !far) return;
    place = where(now.clientY);
    if (!place) put(letter, levels().length, false);
    else put(letter, place.at + (place.mark === "after"), place.mark === "onto");
  };
  grip.addEventListener("pointermove", moved);
  grip.addEventListener("pointerup", end, { once: true });
  grip.addEventListener("pointercancel", end, { once: true });
}

// The middle of a level ties with it; above and below are the gaps.
function where(y) {
  const boxes = all(".level").map((level) => ({ level, at: Number(level.dataset.level), box: level.getBoundingClientRect() }));
  for (const { level, at, box } of boxes) {
    const part = (y - box.top) / box.height;
    if (part < 0.28) return { level, at, mark: "before" };
    if (part <= 0.72) return { level, at, mark: "onto" };
    if (part <= 1) return { level, at, mark: "after" };
  }
  return boxes.length ? { ...boxes.at(-1), mark: "after" } : null;
}

export function start() {
  if (!strip) return;
  strip.hidden = false;
  draw();
  form.addEventListener("change", draw);
  form.addEventListener("filled", draw);
  strip.addEventListener("pointerdown", drag);
  strip.addEventListener("click", (event) => {
    const act = event.target.closest("[data-act]")?.dataset.act;
    const letter = event.target.closest("[data-chip]")?.dataset.chip;
    if (act === "up") move(letter, -1);
    if (act === "down") move(letter, 1);
    if (act === "tie") tie(letter);
  });
}
