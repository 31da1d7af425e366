// Two clips, one clock; and the next pair, which is loaded while this one is looked at.

import { lookAhead, standsFor } from "./answer.js";
import { drain } from "./outbox.js";
import { Lost, afresh, all, announce, ask, find, form, newId, pill, root, task } from "./page.js";

const FRAME = 1 / 25; // seconds
const AGAIN = 1500; // milliseconds until we look again whether there is another pair
const RECENT = 10; // answers from which the pace is told
const still = matchMedia("(prefers-reduced-motion: reduce)");
const clips = task?.dataset.kind === "clips";
const shown = () => all(".card video", task ?? root);
let playing = !still.matches;
const answered = new Set(); // tasks whose answers may still be on their way: to the server they are in hand
let goal = null;

export function playBoth() {
  playing = shown().every((film) => film.paused);
  for (const film of shown()) playing ? film.play().catch(() => {}) : film.pause();
  const button = find("#pause");
  if (button) button.firstChild.textContent = playing ? "Pause " : "Play ";
}

export function stepBoth(by) {
  playing = false;
  for (const film of shown()) {
    film.pause();
    film.currentTime = Math.max(0, film.currentTime + by * FRAME);
  }
}

// They begin together, and begin anew when both are over: alone, each would drift.
function together(films) {
  const begin = () => {
    if (!playing) return;
    for (const film of films) {
      film.currentTime = 0;
      film.play().catch(() => {});
    }
  };
  for (const film of films) {
    film.loop = film.controls = false;
    film.addEventListener("ended", () => films.every((one) => one.ended || one.error) && begin());
    film.addEventListener("error", () => pill("bad", "A clip cannot be played"));
  }
  Promise.all(films.map(loaded)).then(begin);
}

const loaded = (film) => new Promise((resolve) => {
  if (film.readyState >= 3 || film.complete) return resolve();
  for (const name of ["canplay", "load", "error"]) film.addEventListener(name, resolve, { once: true });
});

// The pair can be seen: both have put a picture on the screen (a film that stands still says so no more).
function seen(number) {
  const picture = (film) => new Promise((resolve) => {
    if (playing && film.requestVideoFrameCallback) film.requestVideoFrameCallback(resolve);
    else loaded(film).then(resolve);
  });
  Promise.all(shown().map(picture)).then(() => (task.dataset.seen = number));
}

function media(item) {
  const made = document.createElement(item.mime.startsWith("video/") ? "video" : "img");
  if (made.tagName === "VIDEO") {
    Object.assign(made, { muted: true, playsInline: true, preload: "auto" });
    made.setAttribute("aria-label", `Clip ${item.letter}`);
  } else made.alt = `Picture ${item.letter}`;
  made.src = item.media;
  return made;
}

// Take the next pair into hand and load its films; look again later where there is none yet.
async function prepare() {
  lookAhead(null);
  delete task.dataset.ahead;
  const now = Number(task.dataset.task);
  try {
    await drain();
    const { said: drawn } = await ask("POST", "/api/claim", { body: JSON.stringify({ kind: "clips", besides: now }) });
    if (drawn.task && !answered.has(drawn.task)) {
      const { status, said } = await ask("GET", `/api/task/${drawn.task}`);
      if (status !== 200 || said.unread || JSON.stringify(said.prompt) !== goal) return; // a page of its own
      const films = said.items.map(media);
      await Promise.all(films.map(loaded));
      if (Number(task.dataset.task) !== now) return;
      lookAhead({ number: said.task, heard, show: (id) => show(said.task, films, id) });
      task.dataset.ahead = said.task;
      return;
    }
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
  }
  setTimeout(prepare, AGAIN);
}

function show(number, films, id) {
  answered.add(Number(task.dataset.task));
  task.dataset.task = number;
  history.replaceState(null, "", `/task/${number}`);
  standsFor(number);
  form.reset();
  form.action = `/task/${number}/submit`;
  form.elements.submission_id.value = newId();
  for (const one of all("[data-key]")) one.removeAttribute("aria-pressed");
  const skip = find("[data-skip]");
  if (skip) {
    skip.action = `/task/${number}/skip`;
    skip.elements.submission_id.value = newId();
  }
  for (const [i, old] of all(".card video, .card img").entries()) old.replaceWith(films[i]);
  together(shown());
  seen(number);
  find(".said")?.remove();
  takeBack(id);
  pace(true);
  afresh();
  announce("Saved. The next pair.");
  prepare();
}

// What became of an answer whose page has moved on.
function heard(status, answer) {
  if (status !== 200 && status !== 409) pill("bad", `An answer was not taken: ${answer.message}`);
}

function takeBack(id) {
  const back = find("#take-back");
  back.action = `/work/${id}/undo`;
  back.elements.submission_id.value = newId();
  back.hidden = false;
}

// How many, and how fast, since this tab was opened.
function pace(more) {
  const times = JSON.parse(sessionStorage.getItem("heed-pace") ?? "[]");
  if (more) times.push(Date.now());
  sessionStorage.setItem("heed-pace", JSON.stringify(times));
  const recent = times.slice(-RECENT);
  const minutes = (recent.at(-1) - recent[0]) / 60000;
  const fast = recent.length > 2 && minutes > 0 ? `, ${Math.round((recent.length - 1) / minutes)} a minute` : "";
  find("#pace").textContent = times.length ? `${times.length} answer${times.length > 1 ? "s" : ""} in this sitting${fast}` : "";
  const plot = find(".reward img");
  if (more && plot && times.length % RECENT === 0) plot.src = `/clips/reward.svg?${times.length}`;
}

export async function start() {
  if (!clips) return;
  together(shown());
  seen(task.dataset.task);
  const back = find("#take-back");
  if (!back) return; // an answer is being changed: nothing comes after it
  if (new URLSearchParams(location.search).get("said") === "saved") pace(true);
  else pace(false);
  find("#pause").hidden = false;
  find("#pause").firstChild.textContent = playing ? "Pause " : "Play ";
  find("#pause").addEventListener("click", playBoth);
  back.addEventListener("submit", async (event) => {
    event.preventDefault();
    await drain(true); // first it has to be there
    back.submit();
  });
  try {
    goal = JSON.stringify((await ask("GET", `/api/task/${task.dataset.task}`)).said.prompt);
    prepare();
  } catch (error) {
    if (!(error instanceof Lost)) throw error; // then each pair is a page of its own
  }
}
