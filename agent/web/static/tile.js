// One tile per slot. Text enters only through textContent: names come from recorders.

import { duration, sentence, size, word } from "./words.js";

const SYMBOLS = {
  empty: "○",
  identifying: "…",
  locked: "⚿",
  collecting: "↓",
  collected: "✓",
  incomplete: "!",
  failed: "✕",
  stuck: "■",
};

export function tile(slot) {
  const root = part("article", "tile");
  root.dataset.slot = slot;
  const parts = { root };
  for (const [name, tag] of Object.entries({
    slot: "h2",
    symbol: "span",
    state: "strong",
    recorder: "p",
    officer: "p",
    progress: "progress",
    figures: "p",
    problems: "ul",
  })) {
    parts[name] = part(tag, name);
    root.append(parts[name]);
  }
  parts.symbol.setAttribute("aria-hidden", "true");
  return parts;
}

export function show(parts, slot, words) {
  parts.root.dataset.state = slot.state;
  set(parts.slot, slot.slot);
  set(parts.symbol, SYMBOLS[slot.state] ?? "?");
  set(parts.state, word(words, "slots", slot.state));
  set(parts.recorder, slot.recorder && `${word(words, "page", "recorder")} ${slot.recorder}`);
  set(parts.officer, slot.officer && `${word(words, "page", "officer")} ${slot.officer}`);
  parts.progress.hidden = slot.state !== "collecting";
  parts.progress.max = Math.max(1, slot.bytes_total);
  parts.progress.value = slot.bytes_done;
  parts.progress.setAttribute("aria-label", word(words, "slots", slot.state));
  set(parts.figures, figures(slot, words));
  list(parts.problems, slot.problems.map((problem) => sentence(words, problem.key, problem.params)));
}

export function list(node, texts) {
  while (node.children.length > texts.length) node.lastElementChild.remove();
  while (node.children.length < texts.length) node.append(document.createElement("li"));
  texts.forEach((text, at) => set(node.children[at], text));
}

// Writing the same text again would make screen readers repeat it.
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function figures(slot, words) {
  if (slot.files_total === 0) return "";
  const shown = [`${slot.files_done}/${slot.files_total}`];
  if (slot.state === "collecting") {
    shown.push(`${size(slot.bytes_done)} / ${size(slot.bytes_total)}`);
    if (slot.bytes_per_second > 0) shown.push(`${size(slot.bytes_per_second)}/s`);
    if (slot.eta_seconds !== null) shown.push(`${word(words, "page", "eta")} ${duration(slot.eta_seconds)}`);
  } else {
    shown.push(size(slot.bytes_done));
  }
  return shown.join(" · ");
}

function part(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}
