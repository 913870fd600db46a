// Fetches /status every second and shows it. What is older than five seconds is shown as old:
// a green tile that is no longer true would send an officer home with an uncollected recorder.

import { list, set, show, tile } from "./tile.js";
import { fill, load, sentence, word } from "./words.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 3000;
const OLD_MS = 5000;

const at = (id) => document.getElementById(id);
const tiles = new Map();
let language = localStorage.getItem("language") ?? document.documentElement.lang;
let words = null;
let status = null;
let shownAt = performance.now();

async function refresh() {
  try {
    words = await load(language);
    const answer = await fetch("/status", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    status = await answer.json();
    shownAt = performance.now();
    render();
    lost(false);
  } catch (error) {
    console.warn(error);
    lost(true);
  } finally {
    setTimeout(refresh, EVERY_MS);
  }
}

function markOld() {
  document.body.classList.toggle("old", performance.now() - shownAt > OLD_MS);
}

function lost(failed) {
  markOld();
  at("banner").hidden = !failed && status?.ready !== false;
  if (!at("banner").hidden) {
    set(at("banner"), words ? word(words, "page", failed ? "lost" : "starting") : "连接中断 · Connection lost");
  }
}

function render() {
  document.documentElement.lang = language;
  document.title = `${status.station} · ${word(words, "page", "title")}`;
  set(at("station"), status.station);
  set(at("summary"), [
    word(words, "page", "title"),
    status.version,
    fill(word(words, "page", "uptime"), { seconds: status.uptime_seconds }),
    word(words, "page", status.clock_trusted ? "clock_trusted" : "clock_untrusted"),
  ].join(" · "));
  set(at("language"), word(words, "page", "other_language"));
  renderSlots();
  renderHealth();
  renderFigures();
}

function renderSlots() {
  const seen = new Set(status.slots.map((slot) => slot.slot));
  for (const [name, parts] of tiles) {
    if (!seen.has(name)) {
      parts.root.remove();
      tiles.delete(name);
    }
  }
  status.slots.forEach((slot, index) => {
    if (!tiles.has(slot.slot)) tiles.set(slot.slot, tile(slot.slot));
    const parts = tiles.get(slot.slot);
    if (at("slots").children[index] !== parts.root) at("slots").insertBefore(parts.root, at("slots").children[index]);
    show(parts, slot, words);
  });
  at("slots").dataset.none = status.slots.length ? "" : word(words, "page", "no_slots");
}

function renderHealth() {
  const issues = status.health;
  list(at("health"), issues.length
    ? issues.map((issue) => `${word(words, "severity", issue.severity)}: ${sentence(words, issue.key, issue.params)}`)
    : [word(words, "page", "well")]);
  [...at("health").children].forEach((item, index) => { item.className = issues[index]?.severity ?? "well"; });
}

function renderFigures() {
  const clips = Object.entries(status.clips).filter(([, count]) => count > 0);
  const figures = [
    [word(words, "page", "clips"), clips.map(([state, n]) => `${word(words, "clips", state)} ${n}`).join(" · ") || "0"],
    [word(words, "page", "queue"), fill(word(words, "page", "queue_value"), status.queue)],
    [word(words, "page", "disk"), fill(word(words, "page", "disk_value"), status.disk)],
  ];
  at("figures").replaceChildren(...figures.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    return [term, detail];
  }));
}

at("language").addEventListener("click", async () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  words = await load(language);
  if (status) render();
});

refresh();
// A request that hangs tells nothing: what is shown grows old by itself.
setInterval(markOld, EVERY_MS);
