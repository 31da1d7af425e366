// Shortcuts.  They do nothing while somebody writes, every one is listed under "?", and single keys can be switched off.

import { touched } from "./answer.js";
import { playBoth, stepBoth } from "./clips.js";
import { all, announce, find, form, recall, remember, task, writes } from "./page.js";
import { move, setRank, tie, undoStep } from "./ranking.js";

const kind = task?.dataset.kind;
const talks = Boolean(find("[data-turn]"));
const cards = all(".card");
let current = null; // the card, or the scale, that digits speak of

const open = (id, field) => {
  const box = find(id);
  if (!box) return;
  box.open = true;
  box.scrollIntoView({ block: "nearest" });
  (find(field, box) ?? find("summary", box)).focus();
};
const press = (selector) => find(selector)?.click();
const choose = (name, value) => {
  const radio = all(`input[name="${name}"]`, form).find((one) => one.value === String(value));
  if (!radio) return;
  radio.checked = true;
  touched();
  announce(radio.closest("label").textContent.trim());
};
const turnTo = (card) => {
  if (!card) return;
  current = card;
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
};
const beside = (by) => {
  const at = cards.findIndex((card) => card === current || card.contains(document.activeElement));
  turnTo(cards[Math.min(cards.length - 1, Math.max(0, at + by))]);
};
const scales = all(".rating");
const scaleNow = () => scales.find((one) => one.contains(document.activeElement)) ?? scales.find((one) => !find(":checked", one)) ?? scales.at(-1);
const letterNow = () => document.activeElement?.closest?.("[data-chip]")?.dataset.chip
  ?? document.activeElement?.closest?.("[data-letter]")?.dataset.letter ?? current?.dataset.letter;
const steps = all('input[name="preference"]', form ?? document).filter((one) => one.value !== "0");

// [what is shown, what it does, when it holds, keys, action]
const TABLE = [
  ["Enter", "submit", Boolean(form) || Boolean(find("#continue")), ["Enter"], (e) => {
    if (e.target.closest("button, a, summary, input, dialog")) return false;
    (find("#submit") ?? find("#continue"))?.click();
  }],
  ["o", "open the instructions", Boolean(find("[data-guide]")), ["o"], () => press("[data-guide]")],
  ["s", "skip, with a reason", Boolean(find("#skip")), ["s"], () => open("#skip", "input[type=radio]")],
  ["u", "take the last answer back", Boolean(find("[data-undo]")), ["u"], () => press("[data-undo]:not([hidden]) button")],
  ["n", "cannot be put in order", Boolean(find("#cannot")), ["n"], () => open("#cannot", "input[type=radio]")],
  ["r", "plain text of the answers", Boolean(find(".rawly")), ["r"], () => {
    const boxes = all(".card .rawly");
    const show = !boxes[0]?.open;
    for (const box of boxes) box.open = show;
  }],
  ...[["l", "scroll both answers together, or each alone", "link"], ["d", "mark what stands in one answer only, or do not", "diff"],
    ["v", "blur the texts, or show them", "veil"]].map(([key, words, view]) =>
    [key, words, Boolean(find(`[data-view="${view}"]`)), [key], () => press(`[data-view="${view}"]:not([hidden])`)]),
  ["a … i", "go to an answer", kind === "rank", "abcdefghi".slice(0, cards.length).split(""), (e) => turnTo(find(`#card-${e.key.toUpperCase()}`))],
  ["j k", "next or previous answer", cards.length > 1 && !scales.length, ["j", "k"], (e) => beside(e.key === "j" ? 1 : -1)],
  ["1 … 9", "give the answer that rank; the same rank is a tie", kind === "rank", "123456789".split(""), (e) => {
    const letter = letterNow();
    if (letter && !e.target.closest(".rating, .flag")) setRank(letter, e.key);
    else return false;
  }],
  ["[ ]", "move it up or down", kind === "rank", ["[", "]"], (e) => letterNow() && move(letterNow(), e.key === "[" ? -1 : 1)],
  ["Alt ↑ ↓", "the same", kind === "rank", [], null],
  ["=", "tie it with the one above", kind === "rank", ["="], () => letterNow() && tie(letterNow())],
  ["x", "none is acceptable", kind === "rank", ["x"], () => {
    open("#cannot", 'input[value="all_unacceptable"]');
    choose("reason", "all_unacceptable");
  }],
  ["Ctrl Z", "undo a step", kind === "rank", [], null],
  [`1 … ${steps.length}`, "from A is better to B is better", kind === "pairwise" || talks, "12345678".slice(0, steps.length).split(""), (e) => choose("preference", steps[Number(e.key) - 1].value)],
  ["t", "a tie", Boolean(find('input[name="preference"][value="0"]')), ["t"], () => choose("preference", 0)],
  ["b", "both are bad", Boolean(find('input[name="both_bad"]')), ["b"], () => press('input[name="both_bad"]')],
  ["1 … 7", "mark on the scale", kind === "rate", "0123456789".split(""), (e) => {
    const scale = scaleNow();
    const radio = scale && all("input", scale).find((one) => one.value === e.key);
    if (!radio || e.target.closest(".flag")) return false;
    radio.checked = true;
    radio.focus();
    touched();
    announce(`${find("legend", scale).textContent.trim()} ${e.key}`);
    scales[scales.indexOf(scale) + 1]?.querySelector("input")?.focus();
  }],
  ...[["←", "A is better", "ArrowLeft"], ["→", "B is better", "ArrowRight"], ["↑", "they are the same", "ArrowUp"],
    ["↓", "I cannot tell", "ArrowDown"]].map(([shown, words, key]) =>
    [shown, `${words}, and on to the next pair`, Boolean(find(`[data-key="${key}"]`)), [key], () => press(`[data-key="${key}"]`)]),
  ["Ctrl Z", "take the last answer back", kind === "clips", [], null],
  ["Space", "play or pause both", kind === "clips", [" "], (e) => (e.target.closest("button, input, summary, a") ? false : playBoth())],
  [", .", "one frame back or on", kind === "clips", [",", "."], (e) => stepBoth(e.key === "," ? -1 : 1)],
].filter(([, , holds]) => holds);

const on = () => recall("heed-keys") !== "off";

function pressed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const here = event.target.closest("form");
    event.preventDefault();
    return (here && here.method !== "dialog" ? here : form ?? find("#say"))?.requestSubmit(find("#submit", here ?? document) ?? undefined);
  }
  if (find("dialog[open]")) return;
  if (kind === "clips" && !writes(event.target) && (event.ctrlKey || event.metaKey) && event.key === "z") {
    event.preventDefault();
    return press("[data-undo]:not([hidden]) button");
  }
  if (kind === "rank" && !writes(event.target)) {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      event.preventDefault();
      return undoStep();
    }
    if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key) && letterNow()) {
      event.preventDefault();
      return move(letterNow(), event.key === "ArrowUp" ? -1 : 1);
    }
  }
  if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || event.isComposing) return;
  if (event.key === "?") return help();
  if (!on() && (event.key.length === 1 || kind === "clips")) return;
  const found = TABLE.find(([, , , keys]) => keys.includes(event.key));
  if (found && found[4](event) !== false) event.preventDefault();
}

function help() {
  find("#keys-list").replaceChildren(...[...TABLE, ["?", "this list"], ["Ctrl Enter", "submit, from a text field too"]].flatMap(([shown, words]) => {
    const name = document.createElement("dt");
    for (const part of shown.split(" ")) {
      const key = document.createElement(part === "…" ? "span" : "kbd");
      key.textContent = part;
      name.append(key, " ");
    }
    const what = document.createElement("dd");
    what.textContent = words;
    return [name, what];
  }));
  find("#keys").showModal();
}

export function start() {
  const button = find("#help-button");
  if (!button) return;
  button.hidden = false;
  button.onclick = help;
  const box = find("#keys-on");
  box.checked = on();
  box.onchange = () => remember("heed-keys", box.checked ? "on" : "off");
  addEventListener("keydown", pressed);
  document.addEventListener("focusin", (event) => (current = event.target.closest(".card") ?? current));
}
