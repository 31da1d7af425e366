// Conversations: say something without leaving the page before the server has it; wait for two replies; use a suggestion.

import { forgetDraft } from "./answer.js";
import { login } from "./login.js";
import { Lost, all, announce, ask, find, pill, task } from "./page.js";

export function start() {
  find("#say")?.addEventListener("submit", say);
  const replies = find("#replies");
  if (replies) {
    replies.addEventListener("submit", getReplies);
    if (!find("button", replies).disabled && !find(".faults")) replies.requestSubmit();
  }
  for (const button of all("[data-use]")) {
    button.hidden = false;
    button.type = "button";
    button.onclick = () => use(button);
  }
}

function use(button) {
  const draft = button.closest(".draft");
  find("[data-suggestion]", draft).checked = true;
  const place = find("#text");
  place.value = find("[data-source]", draft).value;
  place.dispatchEvent(new Event("input", { bubbles: true }));
  place.focus();
  announce("The suggestion is in the field; change it as you like.");
}

async function say(event) {
  const of = event.target;
  if (event.submitter?.matches("[data-suggest]")) return; // a page of its own
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(of));
  const text = fields.text.trim() ? fields.text : fields[`draft.${fields.suggestion}`] ?? "";
  const { message_id, parent_id, role, suggestion } = fields;
  const body = JSON.stringify({ message_id, parent_id: parent_id || null, role, text, suggestion: suggestion || null });
  find("#submit", of).disabled = true;
  try {
    let answer = await ask("POST", `/api/task/${task.dataset.task}/say`, { body });
    if (answer.status === 401 && (await login())) answer = await ask("POST", `/api/task/${task.dataset.task}/say`, { body });
    if (answer.status === 200) {
      await forgetDraft();
      return location.assign(`/task/${task.dataset.task}?at=${encodeURIComponent(message_id)}`);
    }
    pill("bad", answer.said.fields?.text ? `Not sent: it ${answer.said.fields.text}` : `Not sent: ${answer.said.message}`);
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
    pill("bad", "Not sent: no connection. What you wrote is kept; try again.");
  }
  find("#submit", of).disabled = false;
}

async function getReplies(event) {
  event.preventDefault();
  const button = find("button", event.target);
  const words = find("#waiting");
  const began = Date.now();
  button.disabled = true;
  words.textContent = "The model is writing two replies…";
  const clock = setInterval(() => (words.textContent = `The model is writing two replies… ${Math.round((Date.now() - began) / 1000)} s`), 5000);
  const message_id = event.target.elements.parent_id.value;
  let fault = "";
  try {
    const { status, said } = await ask("POST", `/api/task/${task.dataset.task}/replies`, { body: JSON.stringify({ message_id }), wait: 130000 });
    if (status === 200) return location.assign(`/task/${task.dataset.task}?at=${encodeURIComponent(message_id)}`);
    fault = said.message;
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
    fault = "The model did not answer";
  } finally {
    clearInterval(clock);
  }
  words.textContent = `${fault}. Try again, or skip the task.`;
  button.disabled = false;
}
