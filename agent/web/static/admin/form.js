// Forms: a label for every field, one answer to who sends it, and no second order while the first is under way.

import { told } from "./api.js";
import { alarm, announce, node } from "./dom.js";

let count = 0;

// `choices`: [value, text] of a list to choose from; `rows` in `attributes`: a text of several lines.
export function field(title, attributes, choices = null) {
  count += 1;
  const id = `field-${count}`;
  const tag = choices ? "select" : attributes.rows ? "textarea" : "input";
  const options = (choices ?? []).map(([value, text]) => node("option", { value }, text));
  return node("p", { class: "field" },
    node("label", { for: id }, title),
    node(tag, { id, autocomplete: "off", ...attributes }, ...options));
}

// `work` is given the fields by name, and returns a sentence to tell, or nothing. `ready`: whether there is
// anything to send.
export function form(title, fields, order, work, attributes = {}, ready = () => true) {
  const answer = node("div", { class: "answer" });
  const submit = node("button", { type: "submit", class: "order" }, order);
  const made = node("form", { "aria-label": title, ...attributes }, ...fields, node("p", {}, submit), answer);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren();
    submit.disabled = true;
    try {
      const said = await work(Object.fromEntries(new FormData(made)));
      if (said) {
        answer.replaceChildren(node("p", { class: "done" }, said));
        announce(said);
      }
    } catch (error) {
      answer.replaceChildren(alarm(told(error)));
    } finally {
      submit.disabled = !ready();
    }
  });
  return made;
}

// What was filled in; the interface leaves alone what it is not told of.
export const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
