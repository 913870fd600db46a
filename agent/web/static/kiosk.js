// Fetches /status all the time and shows it. What is older than five seconds is shown as old:
// a green tile that is no longer true would send an officer home with an uncollected recorder.

import * as detail from "./detail.js";
import { arrange, finish, room } from "./rack.js";
import { alarm } from "./sound.js";
import { list, part, picture, set } from "./tile.js";
import { fill, load, sentence, time, word } from "./words.js";

const EVERY_MS = 750; // a change is to be seen within a second and a half, also one that the station finds by looking
const PATIENCE_MS = 3000;
const OLD_MS = 5000;
const RESTARTED_SECONDS = 30; // for so long a station that came back says so
const WRONG = ["pulled-early", "locked", "incomplete", "failed", "stuck"];
const ISSUES = 2; // that are shown; the others are counted
const NAMES = 5; // of slots in one line

const at = (id) => document.getElementById(id);
const tiles = new Map();
let language = localStorage.getItem("language") ?? document.documentElement.lang;
let words = null;
let status = null;
let shownAt = performance.now();
let failed = false; // the last question was not answered
let restarted = false;

async function refresh() {
  const asked = performance.now(); // the answer is of no earlier moment
  try {
    const [known, answer] = await Promise.all([
      load(language, "kiosk"),
      fetch("/status", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" }),
    ]);
    words = known;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    take(await answer.json(), asked);
    failed = false;
  } catch (error) {
    console.warn(error);
    failed = true;
  } finally {
    setTimeout(refresh, EVERY_MS); // first: what cannot be shown once must not be the last that is asked for
    render();
  }
}

function take(news, asked) {
  if (status && status.version !== news.version) location.reload(); // so is this page
  restarted = (restarted || (status !== null && news.uptime_seconds < status.uptime_seconds))
    && news.uptime_seconds < RESTARTED_SECONDS;
  status = news;
  shownAt = asked;
}

function render() {
  const age = performance.now() - shownAt;
  document.body.classList.toggle("old", age > OLD_MS);
  showBanner(age);
  if (!status || !words) return;
  document.documentElement.lang = language;
  document.title = `${status.station} · ${word(words, "page", "title")}`;
  set(at("station"), status.station);
  set(at("language"), word(words, "page", "other_language"));
  set(at("clock"), status.clock_trusted ? "" : word(words, "page", "clock_untrusted"));
  showRack();
  showSlots();
  showHealth();
  detail.refresh(status.slots, words, language);
  alarm([
    ...status.slots.filter(isWrong).map((slot) => `${slot.slot} ${slot.step}`),
    ...status.health.filter((issue) => issue.severity === "critical").map((issue) => issue.key),
    ...(failed ? ["lost"] : []),
  ]);
}

// Out of use is nothing wrong by itself; a recorder that stands there is.
function isWrong(slot) {
  return WRONG.includes(slot.step) || (slot.step === "out-of-use" && slot.problems.length > 0);
}

function showBanner(age) {
  if (!words) {
    set(at("banner"), failed ? "连接中断 · Connection lost" : "");
    return;
  }
  const full = isFull();
  const parts = [
    failed && word(words, "kiosk", "lost"),
    age > OLD_MS && fill(word(words, "kiosk", "old"), { seconds: age / 1000 }),
    !failed && status?.ready === false && word(words, "page", "starting"),
    !failed && restarted && word(words, "kiosk", "restarted"),
    !failed && full && sentence(words, "no-room", {}),
  ].filter(Boolean);
  at("banner").dataset.kind = failed || age > OLD_MS ? "lost" : full ? "full" : "told";
  set(at("banner"), parts.join(" "));
}

// The station itself, not its rack: nobody is to dock here.
function isFull() {
  return status !== null && status.health.some((issue) => issue.key === "store-full");
}

function showRack() {
  const { key, slots, seconds } = room(status.slots);
  const named = slots.length > NAMES ? [...slots.slice(0, NAMES), "…"] : slots;
  const told = status.slots.length
    ? fill(word(words, "kiosk", key), { slots: named, seconds })
    : word(words, "page", "no_slots");
  set(at("room"), isFull() ? "" : told);
  const left = finish(status.slots);
  const params = { seconds: left, time: time(Date.now() / 1000 + (left ?? 0), language) };
  set(at("finish"), left === 0 ? "" : fill(word(words, "kiosk", left === null ? "finish_unknown" : "finish"), params));
}

function showSlots() {
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
    parts.show(slot, words, language);
    parts.open.setAttribute("aria-label", fill(word(words, "kiosk", "details"), { slot: slot.slot }));
  });
  lay();
}

function tile(slot) {
  const parts = picture(part("article", "tile"));
  parts.root.dataset.slot = slot;
  parts.open = part("button", "open");
  parts.open.type = "button";
  parts.open.addEventListener("click", () => {
    detail.open(slot);
    detail.refresh(status.slots, words, language);
  });
  parts.root.append(parts.open);
  return parts;
}

// All tiles on one screen, as large as they can be; their letters go with them.
function lay() {
  const area = at("slots");
  const style = getComputedStyle(area);
  const gap = parseFloat(style.rowGap) || 0;
  const { columns, rows } = arrange(tiles.size, area.clientWidth, area.clientHeight);
  const width = (area.clientWidth - gap * (columns - 1)) / columns;
  const height = (area.clientHeight - gap * (rows - 1)) / rows;
  area.style.setProperty("--columns", columns);
  area.style.setProperty("--rows", rows);
  area.style.setProperty("--unit", `${Math.max(6, Math.min(width / 15, height / 12))}px`);
}

function showHealth() {
  const issues = status.health.filter((issue) => issue.severity !== "info");
  const texts = issues.slice(0, ISSUES).map((issue) => sentence(words, issue.key, issue.params));
  const more = issues.length - texts.length;
  if (more > 0) texts.push(fill(word(words, "kiosk", "more"), { count: more }));
  list(at("health"), texts);
  [...at("health").children].forEach((item, index) => { item.className = issues[index].severity; });
}

at("language").addEventListener("click", async () => {
  const other = language === "zh" ? "en" : "zh";
  try {
    words = await load(other, "kiosk");
  } catch (error) {
    console.warn(error); // without the station there are no other words
    return;
  }
  language = other;
  localStorage.setItem("language", language);
  render();
});

addEventListener("resize", lay);
refresh();
// A request that hangs tells nothing: what is shown grows old by itself.
setInterval(render, EVERY_MS);
