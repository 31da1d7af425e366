// Everything that a page can do beyond its forms.  Without it, every form still works.

import * as answer from "./answer.js";
import * as clips from "./clips.js";
import * as keys from "./keys.js";
import { drain, show } from "./outbox.js";
import { ask, find, root } from "./page.js";
import * as ranking from "./ranking.js";
import * as talk from "./talk.js";
import * as views from "./views.js";
import * as writing from "./writing.js";

await answer.start();
ranking.start();
keys.start();
talk.start();
writing.start();
clips.start();
views.start();
await show();
drain();

// After an answer the next task is read from its beginning.
if (new URLSearchParams(location.search).has("said")) find("#prompt-heading")?.focus({ preventScroll: true });
find("#faults")?.focus();

// Colours change at once: a form on the page would be lost by loading it again.
const theme = find('form[action="/theme"]');
const SIGNS = { "": "◐", dark: "☾", light: "☀" };
const NEXT = { "": "dark", dark: "light", light: "" };
const NAMES = { "": "as the system", dark: "dark", light: "light" };
theme?.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = find("button", theme);
  const chosen = button.value;
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  button.value = NEXT[chosen];
  button.textContent = SIGNS[chosen];
  button.setAttribute("aria-label", `Colours: ${NAMES[chosen]}. Change`);
  const fields = new URLSearchParams({ theme: chosen, csrf: root.dataset.csrf });
  fetch("/theme", { method: "POST", body: fields, redirect: "manual" }).catch(() => {});
});

// An empty queue looks again.
if (find("[data-poll]")) {
  setInterval(async () => {
    try {
      const { said } = await ask("GET", "/api/progress");
      if (Object.entries(said.open ?? {}).some(([kind, n]) => kind !== "review" && n)) location.assign("/");
    } catch {
      // later
    }
  }, 15000);
}
root.dataset.ready = "";
