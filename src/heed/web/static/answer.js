// The form of a task: drafts while it is filled in, and handing it in.

import { drop, durable, keep, read } from "./kept.js";
import { drain, post, waitingFor } from "./outbox.js";
import { Lost, announce, ask, beside, bodyOf, all, fill, find, form, pill, said, task, user } from "./page.js";

const LOCAL = 300; // milliseconds after the last change until it is kept here,
const REMOTE = 1200; // and until it is kept by the server
const RENEW = 60000;
let number = Number(task?.dataset.task);
const kind = task?.dataset.kind;
const turn = form?.dataset.turn; // of a live comparison: the answer is to this task, the draft is the conversation's
const writing = form ?? find("#say");
const drafted = writing && !turn && kind !== "clips" && writing.action.includes("/task/"); // a revision has no draft
const key = `${user} ${number}`;
let dirty = false;
let handedIn = false;
let local = 0;
let remote = 0;
let ahead = null; // the task after this one, where it is on the page already: { number, show(id), heard(status, answer) }

// From now on `found` is shown as soon as this task is answered.
export const lookAhead = (found) => (ahead = found);

// The page shows another task.
export function standsFor(other) {
  number = other;
  handedIn = dirty = false;
}

export async function start() {
  if (!task) return;
  if (drafted) await restore();
  writing?.addEventListener("input", changed);
  writing?.addEventListener("change", changed);
  for (const one of all("form[data-answer]")) one.addEventListener("submit", handIn);
  document.addEventListener("visibilitychange", () => document.hidden && dirty && saveLocal());
  addEventListener("pagehide", () => dirty && !handedIn && saveLocal());
  addEventListener("beforeunload", (event) => dirty && !handedIn && !durable && event.preventDefault());
  setInterval(() => !document.hidden && renew(), RENEW);
  const waiting = await waitingFor(Number(turn ?? number), arrived);
  if (waiting) {
    freeze("Your answer to this task is kept in this browser and waits to be sent.");
    drain(true);
  }
  const channel = new BroadcastChannel("heed");
  channel.onmessage = ({ data }) => {
    if (data.task !== number || data.user !== user) return;
    notice("This task is open in another tab too. Only one answer is kept.");
    if (data.hello) channel.postMessage({ task: number, user, hello: false });
  };
  channel.postMessage({ task: number, user, hello: true });
}

async function restore() {
  const draft = await read("drafts", key);
  if (draft && draft.rev > Number(task.dataset.rev)) {
    fill(writing, draft.body);
    pill("good", "Your draft is back");
  }
}

function changed() {
  dirty = true;
  handedIn = false;
  if (!drafted) return;
  pill("busy", "Saving…");
  clearTimeout(local);
  clearTimeout(remote);
  local = setTimeout(saveLocal, LOCAL);
  remote = setTimeout(saveRemote, REMOTE);
}
export const touched = () => writing?.dispatchEvent(new Event("change", { bubbles: true }));

function saveLocal() {
  return drafted ? keep("drafts", { id: key, rev: Date.now(), body: bodyOf(writing) }) : undefined;
}

async function saveRemote() {
  if (handedIn) return;
  const body = bodyOf(writing);
  try {
    const { status } = await ask("PUT", `/api/task/${number}/draft`, { body: JSON.stringify({ body, rev: Date.now() }) });
    if (status === 200) pill("good", "Draft saved ✓");
    else if (status === 401) pill("bad", "Your session has ended; log in when you submit. This browser keeps your draft.");
    else pill("warn", "Draft kept in this browser only");
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
    pill("bad", durable ? "Offline — draft kept in this browser" : "Not saved!");
    remote = setTimeout(saveRemote, 5000);
  }
}

export async function forgetDraft() {
  handedIn = true;
  clearTimeout(local);
  clearTimeout(remote);
  await drop("drafts", key);
  try {
    await ask("PUT", `/api/task/${number}/draft`, { body: JSON.stringify({ body: {}, rev: Date.now() }) });
  } catch {
    // said again it would be the same message: its id is known
  }
}

async function handIn(event) {
  event.preventDefault();
  if (handedIn) return;
  const of = event.target;
  handedIn = true;
  clearTimeout(local);
  clearTimeout(remote);
  clearFaults();
  const body = { ...said(bodyOf(of, event.submitter), kind), ...beside() };
  const id = of.elements.submission_id.value;
  const url = new URL(of.action).pathname;
  const next = ahead;
  await post(`/api${url}`, body, { id, task: Number(turn ?? number), kind, fate: next ? next.heard : arrived });
  if (next) return next.show(id);
  const shown = setTimeout(() => freeze("Your answer is kept in this browser. It is sent as soon as there is a connection."), 1500);
  of.addEventListener("thawed", () => clearTimeout(shown), { once: true });
}

// The server has said what became of it.
function arrived(status, answer) {
  for (const one of all("form[data-answer]")) one.dispatchEvent(new Event("thawed"));
  if (status === 422) {
    handedIn = false;
    thaw();
    showFaults(answer.fields ?? { answer: answer.message });
  } else if (status === 200 || status === 409) {
    dirty = false;
    announce("Saved");
    next(answer);
  } else {
    handedIn = false;
    thaw();
    notice(answer.message);
  }
}

async function next(answer) {
  if (form?.action.includes("/work/")) return location.assign("/work?said=revised");
  if (turn) return location.assign(`/task/${number}`);
  const more = new URLSearchParams(answer.submission_id ? { said: answer.outcome === "late" ? "late" : "saved", done: answer.submission_id } : {});
  for (let pause = 500; ; pause = Math.min(pause * 2, 15000)) {
    try {
      let { said: found } = await ask("POST", "/api/claim", { body: JSON.stringify({ kind }) });
      if (!found.task && found.url === "/nothing") ({ said: found } = await ask("POST", "/api/claim", { body: "{}" }));
      return location.assign(`${found.url ?? "/"}?${more}`);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      pill("bad", "Saved. The next task comes when there is a connection.");
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function freeze(words) {
  if (!handedIn) handedIn = true;
  for (const one of all("form[data-answer], #skip")) one.inert = true;
  notice(words);
}

function thaw() {
  for (const one of all("form[data-answer], #skip")) one.inert = false;
  find("#notice")?.remove();
}

function notice(words) {
  const place = find("#notice") ?? document.createElement("p");
  place.id = "notice";
  place.className = "banner";
  place.setAttribute("role", "status");
  place.textContent = words;
  if (!place.isConnected) find(".task-head").after(place);
}

function clearFaults() {
  for (const one of all(".fault, #faults", task)) one.remove();
  for (const one of all("[aria-describedby$='-fault']", task)) one.removeAttribute("aria-describedby");
}

// What is missing: a list at the top that leads to each field, and the words beside the field.
function showFaults(fields) {
  clearFaults();
  const box = document.createElement("div");
  box.className = "faults";
  box.id = "faults";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  const heading = document.createElement("h2");
  heading.textContent = "Something is missing";
  const items = document.createElement("ul");
  for (const [name, message] of Object.entries(fields)) {
    const words = message[0].toUpperCase() + message.slice(1).replace(/\.?$/, ".");
    const link = document.createElement("a");
    link.href = `#${name}`;
    link.textContent = words;
    const item = document.createElement("li");
    item.append(link);
    items.append(item);
    const place = document.getElementById(name);
    if (!place) continue;
    const beside = document.createElement("p");
    beside.className = "fault";
    beside.id = `${name}-fault`;
    beside.textContent = words;
    place.setAttribute("aria-describedby", beside.id);
    if (place.matches("fieldset")) place.append(beside);
    else place.after(beside);
  }
  box.append(heading, items);
  find(".task-head").after(box);
  box.focus();
  announce(`Something is missing: ${Object.values(fields).join("; ")}`);
}

async function renew() {
  if (ahead) ask("POST", `/api/task/${ahead.number}/renew`).catch(() => {});
  try {
    const { status, said: kept } = await ask("POST", `/api/task/${number}/renew`);
    if (status === 200 && kept.lease_ends * 1000 < Date.now() && dirty) {
      notice("Time ran out on this task. Your answer is kept and can still be handed in.");
    }
  } catch {
    // the next one will do
  }
}
