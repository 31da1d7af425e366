// What every module needs: the page's token, asking the server, telling people, ids, and the body that a form means.

export const root = document.body;
export const user = root.dataset.user;
export const UI = 1; // version of these pages; it travels with every answer
export const find = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];
export const task = find("#task");
export const form = find("#answer");

const OURS = ["csrf", "submission_id", "do", "talk", "at", "draft"];
const WAIT = 20000; // milliseconds until a request counts as lost

export class Lost extends Error {} // no answer came: the network, a proxy, a restart

// One request; throws Lost where trying again may help.  The page's token is renewed once if the server wants a new one.
export async function ask(method, url, { body, headers = {}, wait = WAIT, again = true } = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      method,
      body,
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(wait),
      headers: { "X-CSRF-Token": root.dataset.csrf, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
    });
  } catch {
    throw new Lost("no connection");
  }
  if (answer.status >= 500 || answer.status === 429) throw new Lost(`the server answered ${answer.status}`);
  let said = null;
  try {
    said = await answer.json();
  } catch {
    throw new Lost("not our server"); // a portal of some network, or a proxy's page
  }
  if (answer.status === 403 && again && (await renewToken())) return ask(method, url, { body, headers, wait, again: false });
  return { status: answer.status, said };
}

// True if somebody is still logged in: then only the token was old.
async function renewToken() {
  const { said } = await ask("GET", "/api/session", { again: false });
  useToken(said.csrf);
  return said.name === user;
}

export function useToken(token) {
  root.dataset.csrf = token;
  for (const field of all('input[name="csrf"]')) field.value = token;
}

// How somebody likes the pages, for this browser to remember; nothing where it may keep nothing.
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it holds for this page
  }
}

// Said to whoever listens to the page instead of looking at it.
export function announce(words) {
  find("#live").textContent = words;
}

const pillShown = { good: "Saved ✓", warn: "", bad: "Not saved!" };
export function pill(kind, words = pillShown[kind]) {
  const place = find("#pill");
  if (!place) return;
  place.hidden = !words;
  place.className = `pill ${kind}`;
  if (place.textContent !== words) place.textContent = words;
}

// UUIDv7: sorts by time.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let now = Date.now();
  for (let i = 5; i >= 0; i--, now = Math.floor(now / 256)) bytes[i] = now % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

export const writes = (target) => target.matches?.('textarea, select, input:not([type="radio"], [type="checkbox"])');

// The same body as the server makes of a plain form (heed.web.sheets.body_of_form).
export function bodyOf(of, submitter = null) {
  const body = {};
  for (const [name, value] of new FormData(of, submitter)) {
    const [first, ...rest] = name.split(".");
    if (OURS.includes(first) || (value === "" && first !== "text")) continue;
    if (first === "reasons") {
      (body.reasons ??= []).push(value);
      continue;
    }
    let into = body;
    const path = [first, ...rest];
    for (const part of path.slice(0, -1)) into = into[part] ??= {};
    into[path.at(-1)] = ["flags", "both_bad"].includes(first) ? value === "1"
      : ["ranks", "ratings", "preference"].includes(first) ? Number(value) : value;
  }
  return body;
}

// Only what is said: a reason without its outcome, or ranks beside another verdict, is not.
export function said(body, kind) {
  if (body.outcome === "not_rankable") {
    const kept = { outcome: body.outcome };
    for (const name of ["reason", "note"]) if (body[name]) kept[name] = body[name];
    return kept;
  }
  delete body.reason;
  if (kind === "review" && body.verdict !== "resolved") delete body.ranks;
  return body;
}

// Put a body into a form; the counterpart of bodyOf.
export function fill(of, body) {
  const flat = {};
  const walk = (value, name) => {
    if (Array.isArray(value)) flat[name] = value.map(String);
    else if (value !== null && typeof value === "object") for (const key in value) walk(value[key], name ? `${name}.${key}` : key);
    else if (value !== null && value !== undefined) flat[name] = value === true ? "1" : value === false ? "0" : String(value);
  };
  walk(body, "");
  for (const field of of.elements) {
    if (!field.name || OURS.includes(field.name.split(".")[0]) || field.type === "hidden" || field.type === "submit") continue;
    const value = flat[field.name];
    if (field.type === "radio") field.checked = value === undefined ? field.value === "" : field.value === value;
    else if (field.type === "checkbox") field.checked = Array.isArray(value) ? value.includes(field.value) : field.value === value;
    else if (value !== undefined && !Array.isArray(value)) field.value = value;
  }
  of.dispatchEvent(new Event("filled"));
}

// How long somebody was really at work: pauses of more than a minute do not count.
let opened = Date.now() / 1000;
let active = 0;
let last = performance.now();
let keys = 0;
let pointers = 0;
const tick = () => {
  const now = performance.now();
  if (!document.hidden) active += Math.min(now - last, 60000);
  last = now;
};
for (const kind of ["keydown", "pointerdown", "wheel", "scroll", "input"]) addEventListener(kind, tick, { passive: true, capture: true });
addEventListener("keydown", () => keys++, { passive: true, capture: true });
addEventListener("pointerdown", () => pointers++, { passive: true, capture: true });

// Another task stands on the same page.
export function afresh() {
  opened = Date.now() / 1000;
  last = performance.now();
  active = keys = pointers = 0;
}

export function beside() {
  tick();
  return { seconds: Math.round(active / 100) / 10, opened_at: opened, client: { ui: UI, keys, pointers } };
}
