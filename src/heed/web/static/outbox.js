// Answers on their way.  Each is kept in this browser first and sent until the server has it; its id makes that harmless.

import { drop, durable, keep, list, read } from "./kept.js";
import { login } from "./login.js";
import { Lost, announce, ask, find, newId, pill, user } from "./page.js";

const LONGEST = 60000;
const listeners = new Map(); // id -> what to do when its fate is known
let pause = 1000;
let timer = 0;
let draining = null;

const mine = async () => (await list("outbox")).filter((entry) => entry.user === user);

// Keep it, send it; `fate(status, said)` is called once it is known.
export async function post(url, body, { id = newId(), task, kind, fate = () => {} } = {}) {
  const entry = { id, user, url, body: JSON.stringify(body), task, kind, at: Date.now(), refused: null };
  await keep("outbox", entry);
  listeners.set(id, fate);
  pill(durable ? "busy" : "bad", durable ? "Saving…" : "Saving… this browser cannot keep offline copies");
  drain(true);
  return id;
}

// Send everything that waits, the oldest first; one tab at a time.
export function drain(now = false) {
  if (now) pause = 1000;
  clearTimeout(timer);
  draining ??= (navigator.locks ? navigator.locks.request("heed-outbox", sendAll) : sendAll())
    .catch(() => {})
    .finally(async () => {
      draining = null;
      await show();
      if ((await mine()).some((entry) => !entry.refused)) {
        timer = setTimeout(drain, pause * (0.75 + Math.random() / 2));
        pause = Math.min(LONGEST, pause * 2);
      }
    });
  return draining;
}

async function sendAll() {
  for (const entry of await mine()) {
    if (entry.refused) continue;
    try {
      await send(entry);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      return; // what follows would be lost as well
    }
  }
}

async function send(entry) {
  const { status, said } = await ask("POST", entry.url, { body: entry.body, headers: { "Idempotency-Key": entry.id } });
  if (status === 401 || status === 403) {
    pill("bad", "Not sent: your session has ended");
    if (await login()) return send(entry);
    throw new Lost("nobody is logged in");
  }
  pause = 1000;
  if (status === 409) return clash(entry, said);
  const fate = listeners.get(entry.id);
  if (status === 200 || (status === 422 && fate)) {
    await drop("outbox", entry.id); // a form that is still open holds what was refused
  } else {
    await keep("outbox", { ...entry, refused: said.message });
  }
  if (status === 200) await drop("drafts", `${user} ${entry.task}`);
  listeners.delete(entry.id);
  fate?.(status, said);
}

// Two different answers to one task: show both, and let the person decide.
async function clash(entry, said) {
  const dialog = find("#clash");
  find("#clash-why").textContent = said.message;
  find("#clash-stored").textContent = said.stored ? JSON.stringify(said.stored, null, 1) : "–";
  find("#clash-yours").textContent = JSON.stringify(JSON.parse(entry.body), null, 1);
  const choice = await new Promise((resolve) => {
    find("#clash-drop").onclick = () => resolve("drop");
    find("#clash-later").onclick = () => resolve("later");
    dialog.oncancel = () => resolve("later");
    dialog.showModal();
  });
  dialog.close();
  if (choice === "later") return keep("outbox", { ...entry, refused: said.message });
  await drop("outbox", entry.id);
  const fate = listeners.get(entry.id);
  listeners.delete(entry.id);
  fate?.(409, said);
}

export async function show() {
  const waiting = await mine();
  const going = waiting.filter((entry) => !entry.refused);
  if (going.length) pill("bad", `${navigator.onLine ? "Not sent yet" : "Offline"} — ${going.length} waiting`);
  else if (find("#pill")?.classList.contains("bad") || find("#pill")?.textContent === "Saving…") pill("good");
  const place = find("#unsent");
  if (!place) return;
  place.hidden = waiting.length === 0;
  find("#unsent-list").replaceChildren(...waiting.map(line));
}

function line(entry) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/task/${entry.task}`;
  link.textContent = `task ${entry.task}, ${new Date(entry.at).toLocaleString()}`;
  item.append(link, ` ${entry.refused ?? "waits for the connection"} `);
  if (entry.refused) {
    const away = document.createElement("button");
    away.className = "quiet";
    away.textContent = "Throw away";
    away.onclick = async () => {
      await drop("outbox", entry.id);
      show();
    };
    item.append(away);
  }
  return item;
}

// Whether an answer to this task is on its way already; `fate` is told when it has arrived.
export async function waitingFor(task, fate) {
  const entry = (await mine()).find((one) => one.task === task && !one.refused);
  if (entry) listeners.set(entry.id, fate);
  return entry;
}

export const isKept = (id) => read("outbox", id);

addEventListener("online", () => drain(true));
addEventListener("offline", () => {
  show();
  announce("You are offline. What you write is kept in this browser.");
});
