// The rack, live: the same words as on its own screen. What is older than some seconds is not shown any more.

import { picture } from "../tile.js";
import { send, told, watch } from "./api.js";
import { announce, button, node } from "./dom.js";
import { may, of, say, state } from "./state.js";

const EVERY_MS = 2000;
const OLD_MS = 10000;
const TIMES = ["since", "received", "collected", "confirmed"];

export function show(root, signal) {
  const tiles = new Map();
  const list = node("ul", { class: "rack" });
  const note = node("p", { class: "alarm", role: "alert" });
  let last = performance.now();
  note.hidden = true;
  root.append(note, list);

  function take(news, asked) {
    last = asked;
    age();
    if (news === null) return;
    for (const [name, tile] of tiles) {
      if (!news.slots.some((slot) => slot.slot === name)) {
        tile.root.remove();
        tiles.delete(name);
      }
    }
    news.slots.forEach((slot, index) => {
      if (!tiles.has(slot.slot)) tiles.set(slot.slot, tile(slot.slot));
      const { root: shown, show: bring } = tiles.get(slot.slot);
      // Only what stands elsewhere is moved: moving takes the focus away.
      if (list.children[index] !== shown) list.insertBefore(shown, list.children[index] ?? null);
      bring(seconds(slot), state.words, state.language);
      shown.querySelector("button")?.toggleAttribute("hidden", slot.recorder === "");
    });
    list.hidden = news.slots.length === 0;
    if (list.hidden) announce(of("page", "no_slots"));
  }

  function age() {
    const old = performance.now() - last > OLD_MS;
    list.classList.toggle("old", old);
    note.hidden = !old;
    const text = old ? say("rack-old") : "";
    if (note.textContent !== text) note.textContent = text;
  }

  const timer = setInterval(age, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return watch("/slots", EVERY_MS, signal, take, (error) => { console.warn(error); age(); });
}

function tile(slot) {
  const parts = picture(node("li", { class: "tile", "data-slot": slot }));
  if (may("collect")) {
    parts.root.append(button(say("send-first"), async () => {
      try {
        await send("POST", `/slots/${encodeURIComponent(slot)}/first`);
        announce(say("sent-first", { slot }));
      } catch (error) {
        announce(told(error));
      }
    }, { "aria-label": say("send-first-of", { slot }) }));
  }
  return parts;
}

// As the tile wants its times.
function seconds(slot) {
  const of = (text) => (text === null ? null : Date.parse(text) / 1000);
  return { ...slot, ...Object.fromEntries(TIMES.map((name) => [name, of(slot[name])])) };
}
