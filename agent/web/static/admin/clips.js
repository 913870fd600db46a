// Looking for clips, page by page, and labelling those that are marked.

import { size, word } from "../words.js";
import { get } from "./api.js";
import { name, node } from "./dom.js";
import { field, form, given } from "./form.js";
import { labelling } from "./label.js";
import { may, of, say, state, when } from "./state.js";
import { pages, table } from "./table.js";

const LIMIT = 50;
const LONGEST = 200;
const wanted = () => state.left.search ?? {}; // outlives a look at one of them

export async function show(root) {
  const marked = new Set();
  const labels = may("label") ? labelling(marked, () => again()) : null;
  const { root: found, open, again } = pages(async (cursor) => {
    const page = await get("/clips", { ...wanted(), limit: LIMIT, cursor });
    const show = () => {
      marked.clear();
      labels?.tell();
      return listed(page.clips, marked, labels);
    };
    return { show, next: page.next };
  });
  root.append(search((values) => {
    state.left.search = given(values);
    return open(null);
  }), found, labels?.form ?? "");
  await open(null);
}

function search(work) {
  const names = may("see-names"); // what is found would tell
  const text = (key) => field(say(key), { name: key, maxlength: LONGEST, value: wanted()[key] ?? "" });
  const states = Object.entries(state.words.clips);
  const fields = [
    names && state.me.role !== "officer" ? text("officer") : null,
    names ? text("recorder") : null,
    moment("since"),
    moment("until"),
    choice("important", [["", say("any")], ["true", say("yes")], ["false", say("no")]]),
    choice("state", [["", say("any")], ...states]),
    names ? text("case") : null,
    text("category"),
  ];
  return form(say("search"), fields.filter(Boolean), say("search"), work, { class: "search", role: "search" });
}

const moment = (key) =>
  field(say(key), { name: key, type: "datetime-local", value: wanted()[key] ?? "" });

function choice(key, choices) {
  const made = field(say(key), { name: key }, choices);
  made.querySelector("select").value = wanted()[key] ?? "";
  return made;
}

function listed(clips, marked, labels) {
  const mark = (clip) => node("input", {
    type: "checkbox",
    "aria-label": say("mark", { clip: clip.clip }),
    change: (event) => {
      if (event.target.checked) marked.add(clip.clip);
      else marked.delete(clip.clip);
      labels.tell();
    },
  });
  const columns = [
    labels && [say("marked"), mark],
    [of("clip", "clip"), number, "number"],
    [of("page", "state"), (clip) => word(state.words, "clips", clip.state)],
    [of("page", "officer"), (clip) => name(clip.officer)],
    [of("page", "recorder"), (clip) => name(clip.recorder)],
    [of("page", "name"), (clip) => name(clip.path), "long"],
    [of("page", "recorded"), (clip) => when(clip.recorded_at)],
    [say("docked"), (clip) => when(clip.docked_at) + (clip.docked_at_trusted ? "" : ` ${say("untrusted")}`)],
    [of("page", "size"), (clip) => size(clip.size), "number"],
    [say("important"), (clip) => (clip.important ? say("yes") : "")],
    [say("category"), (clip) => name(clip.category)],
    [say("case"), (clip) => name(clip.case)],
  ];
  return table(say("clips"), columns.filter(Boolean), clips);
}

// A look at a clip is an entry of the log: only for whom it is, and by a step of their own.
function number(clip) {
  if (!may("see-footage")) return clip.clip;
  return node("a", { href: `#clip/${clip.clip}`, "aria-label": say("story-of", { clip: clip.clip }) }, `${clip.clip}`);
}
