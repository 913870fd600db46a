// The rack, live: the same words as on its own screen. What is older than some seconds is not shown any more.

import { picture } from "../tile.js";
import { send, told, watch } from "./api.js";
import { announce, button, node } from "./dom.js";
import { field, form } from "./form.js";
import { may, of, say, state } from "./state.js";

const EVERY_MS = 2000;
const OLD_MS = 10000;
const TIMES = ["since", "received", "collected", "confirmed", "out_of_use"];
const LONGEST = 500; // characters of a reason

export function show(root, signal) {
  const tiles = new Map();
  const list = node("ul", { class: "rack" });
  const note = node("p", { class: "alarm", role: "alert" });
  let last = performance.now();
  note.hidden = true;
  const stop = may("collect") ? stopping() : null;
  root.append(note, list);
  if (stop) root.append(stop.root);

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
      if (!tiles.has(slot.slot)) tiles.set(slot.slot, tile(slot.slot, stop));
      const { root: shown, show: bring, offer } = tiles.get(slot.slot);
      // Only what stands elsewhere is moved: moving takes the focus away.
      if (list.children[index] !== shown) list.insertBefore(shown, list.children[index] ?? null);
      bring(seconds(slot), state.words, state.language);
      offer(slot);
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

// `stop`: of who may give orders, else null. `offer` shows those that mean something now.
function tile(slot, stop) {
  const parts = picture(node("li", { class: "tile", "data-slot": slot }));
  if (stop === null) return { ...parts, offer: () => {} };
  const answer = node("p"); // seen, and heard
  const tell = (text) => {
    answer.textContent = text;
    announce(text);
  };
  const order = (what, done) => async () => {
    try {
      await send("POST", `/slots/${encodeURIComponent(slot)}/${what}`);
      tell(done());
    } catch (error) {
      tell(told(error));
    }
  };
  const first = button(say("send-first"), order("first", () => say("sent-first", { slot })),
    { "aria-label": say("send-first-of", { slot }) });
  const end = button(say("stop-using"), () => stop.open(slot), { "aria-label": say("stop-using-slot", { slot }) });
  const use = button(say("use-again"), order("use", () => say("used-again", { slot })),
    { "aria-label": say("use-slot-again", { slot }) });
  parts.root.append(first, end, use, answer);
  const offer = (now) => {
    first.hidden = now.recorder === "";
    end.hidden = now.out_of_use !== null;
    use.hidden = now.out_of_use === null;
  };
  return { ...parts, offer };
}

// Below the rack, for the slot that was chosen.
function stopping() {
  let chosen = null;
  const title = node("h2");
  const reason = field(say("reason"), { name: "reason", required: true, maxlength: LONGEST });
  const made = form(say("stop-using"), [reason], say("stop-using"), async (values) => {
    await send("POST", `/slots/${encodeURIComponent(chosen)}/stop`, values);
    made.reset();
    return say("stopped-using", { slot: chosen });
  });
  const root = node("section", { hidden: true, class: "stopping" }, title, made);
  return {
    root,
    open: (slot) => {
      chosen = slot;
      title.textContent = say("stop-using-slot", { slot });
      root.hidden = false;
      made.querySelector("input").focus();
    },
  };
}

// As the tile wants its times.
function seconds(slot) {
  const of = (text) => (text === null ? null : Date.parse(text) / 1000);
  return { ...slot, ...Object.fromEntries(TIMES.map((name) => [name, of(slot[name])])) };
}
