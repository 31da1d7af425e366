// Logging in again without leaving the page: whatever is in its fields stays there.

import { Lost, ask, find, pill, useToken, user } from "./page.js";

let open = null;

// True once somebody is logged in again; false if they would rather do it later.
export function login() {
  open ??= asking().finally(() => (open = null));
  return open;
}

function asking() {
  const dialog = find("#relogin");
  const fault = find("#relogin-fault");
  const password = dialog.querySelector('[name="password"]');
  const before = document.activeElement;
  return new Promise((resolve) => {
    const end = (done) => {
      dialog.close();
      password.value = "";
      before?.focus?.();
      resolve(done);
    };
    find("#relogin-later").onclick = () => end(false);
    dialog.oncancel = () => end(false);
    find("#relogin-form").onsubmit = async (event) => {
      event.preventDefault();
      fault.hidden = true;
      try {
        useToken((await ask("GET", "/api/session", { again: false })).said.csrf);
        const fields = new URLSearchParams({ name: user, password: password.value });
        const headers = { "Content-Type": "application/x-www-form-urlencoded" };
        const { status, said } = await ask("POST", "/api/login", { body: fields.toString(), headers, again: false });
        if (status === 200) {
          useToken(said.csrf);
          pill("good", "Logged in");
          end(true);
          return;
        }
        fault.textContent = said.message;
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        fault.textContent = "There is no connection to the server just now, or too many attempts; try again in a moment.";
      }
      fault.hidden = false;
      password.select();
    };
    dialog.showModal();
    password.focus();
  });
}
