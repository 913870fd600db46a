// What is told of one slot, in its tile and, larger, in the detail of it. Text enters only through textContent:
// names come from recorders.

import { duration, fill, sentence, size, time, word } from "./words.js";

const DONE = ["collected", "confirmed", "erased"];
const ON_THE_WAY = ["queued", "collecting", "verifying", "erasing"];
// What is told and is nothing to be mended.
const NOTES = ["erased", "empty-card", "unknown-recorder"];
const MOMENTS = ["received", "collected", "confirmed"];
// Less than the others: of these, lines that have no room in a tile are left out as a whole. The detail has them.
const MORE = ["figures", "moments", "duty"];
const PARTS = {
  slot: "h2",
  state: "strong",
  who: "p",
  leave: "p",
  marks: "ul",
  problems: "ul",
  progress: "progress",
  figures: "p",
  moments: "ol",
  duty: "p",
};

export const isDone = (slot) => DONE.includes(slot.step);

// Lays the parts of a slot's picture into `root`; returns them, with `show` to bring them up to date.
export function picture(root) {
  const parts = { root };
  const more = part("div", "more");
  for (const [name, tag] of Object.entries(PARTS)) {
    parts[name] = part(tag, name);
    (MORE.includes(name) ? more : root).append(parts[name]);
  }
  root.append(more);
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  icon.append(use);
  parts.slot.after(icon);
  parts.show = (slot, words, language) => {
    use.setAttribute("href", `#icon-${slot.step}`);
    show(parts, slot, words, language);
  };
  return parts;
}

function show(parts, slot, words, language) {
  parts.root.dataset.step = slot.step;
  set(parts.slot, slot.slot);
  set(parts.state, state(slot, words));
  showWho(parts.who, slot, words);
  set(parts.leave, mayLeave(slot) ? word(words, "kiosk", "leave") : "");
  list(parts.marks, marks(slot, words));
  list(parts.problems, slot.problems.map((problem) => sentence(words, problem.key, problem.params)));
  [...parts.problems.children].forEach((item, at) => {
    item.className = NOTES.includes(slot.problems[at].key) ? "note" : "";
  });
  parts.progress.hidden = slot.state !== "collecting";
  parts.progress.max = Math.max(1, slot.bytes_total);
  parts.progress.value = slot.bytes_done;
  parts.progress.setAttribute("aria-label", word(words, "slots", slot.step));
  set(parts.figures, figures(slot, words));
  list(parts.moments, moments(slot, words, language));
  [...parts.moments.children].forEach((item, at) => item.classList.toggle("past", slot[MOMENTS[at]] !== null));
  set(parts.duty, duty(slot, words));
}

function state(slot, words) {
  const name = word(words, "slots", slot.step);
  if (slot.step === "collecting") return `${name} ${slot.files_done}/${slot.files_total}`;
  if (!slot.pulled) return name;
  const { files } = slot.pulled;
  return files === null ? name : `${name} ${fill(word(words, "kiosk", "left"), { files })}`;
}

function marks(slot, words) {
  const ending = slot.out_of_use !== null && slot.step !== "out-of-use";
  return [
    ...(slot.registered === false ? [word(words, "kiosk", "unregistered")] : []),
    ...(ending ? [word(words, "kiosk", "out_of_use")] : []),
  ];
}

// Labels have elements of their own: a small tile leaves them out.
function showWho(node, slot, words) {
  const { recorder, officer } = slot.pulled ?? slot;
  const known = [["recorder", recorder], ["officer", officer]].filter(([, value]) => value);
  while (node.children.length > known.length) node.lastElementChild.remove();
  while (node.children.length < known.length) {
    const pair = part("span", "pair");
    pair.append(part("span", "label"), part("bdi", "value"));
    node.append(pair);
  }
  known.forEach(([label, value], at) => {
    set(node.children[at].firstChild, word(words, "page", label));
    set(node.children[at].lastChild, value);
  });
  node.hidden = known.length === 0;
}

// Received, and nothing is wrong with it: it is handed in, and goes on without its officer.
function mayLeave(slot) {
  const wrong = slot.problems.some((problem) => !NOTES.includes(problem.key));
  return slot.received !== null && ON_THE_WAY.includes(slot.step) && !wrong;
}

function figures(slot, words) {
  if (slot.files_total === 0) return "";
  if (slot.state !== "collecting") return row([`${slot.files_done}/${slot.files_total}`, size(slot.bytes_done)]);
  const shown = [`${size(slot.bytes_done)} / ${size(slot.bytes_total)}`];
  if (slot.eta_seconds >= 1) shown.push(`${word(words, "page", "eta")} ${duration(slot.eta_seconds)}`);
  return row(shown);
}

function moments(slot, words, language) {
  if (["empty", "locked", "failed", "out-of-use"].includes(slot.state)) return [];
  return MOMENTS.map((name) =>
    `${word(words, "kiosk", name)} ${slot[name] === null ? "–" : time(slot[name], language)}`);
}

function duty(slot, words) {
  if (!slot.duty) return "";
  const { fit, battery, free, clock_off: off } = slot.duty;
  const whether = word(words, "kiosk", { true: "duty_fit", false: "duty_unfit", null: "duty_unknown" }[fit]);
  if ([battery, free, off].every((fact) => fact === null)) return whether;
  const told = (name, value, params) =>
    fill(word(words, "kiosk", value === null ? `${name}_unknown` : name), params);
  return row([
    whether,
    told("battery", battery, { battery }),
    told("space", free, { free }),
    told("clock", off, { off: Math.abs(off) }),
  ]);
}

// Facts in a row, of which none is broken over two lines.
function row(facts) {
  return facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · ");
}

export function list(node, texts) {
  while (node.children.length > texts.length) node.lastElementChild.remove();
  while (node.children.length < texts.length) node.append(document.createElement("li"));
  texts.forEach((text, at) => set(node.children[at], text));
  node.hidden = texts.length === 0;
}

// Writing the same text again would make screen readers repeat it.
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}

export function part(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}
