// All that is known of one clip. That it is opened is an entry of the log, which the station makes first.

import { size, word } from "../words.js";
import { get } from "./api.js";
import { facts, items, name, node, section } from "./dom.js";
import { finding, happened, kept } from "./sentences.js";
import { preview } from "./preview.js";
import { receiptButton } from "./receipt.js";
import { of, problem, say, state, when } from "./state.js";
import { table } from "./table.js";

// `again`: the same one, in the other language; that is no other look at it.
export async function show(root, signal, clip, again) {
  const { left } = state;
  if (!again || left.story?.clip !== clip) {
    left.story = null;
    left.story = { clip, told: await get(`/clips/${encodeURIComponent(clip)}/story`) };
  }
  const { told } = left.story;
  if (signal.aborted) return;
  root.append(
    node("p", { class: "note" }, say("looked", { event: told.event })),
    about(told),
    section(say("preview"), preview(told.clip, signal)),
    section(say("kept"), items(kept(told.kept))),
    section(say("deliveries"), deliveries(told.deliveries)),
    told.findings.length ? section(say("findings"), items(told.findings.map(finding))) : "",
    section(say("events"), events(told)),
  );
}

function about({ clip, digests }) {
  const merged = clip.merged_into === null ? "" : node("a", { href: `#clip/${clip.merged_into}` }, `${clip.merged_into}`);
  return facts([
    [of("page", "state"), word(state.words, "clips", clip.state)],
    [of("clip", "merged-into"), merged],
    [of("clip", "officer"), name(clip.officer)],
    [of("clip", "recorder"), name(clip.recorder)],
    [of("clip", "name"), name(clip.path)],
    [of("clip", "recorded"), when(clip.recorded_at, 19)],
    [of("clip", "docking"), node("span", {}, `${clip.docking} · ${clip.slot} · ${when(clip.docked_at)} `, receiptButton(clip.docking))],
    [of("page", "size"), `${size(clip.size)} (${clip.size} B)`],
    [say("important"), say(clip.important ? "yes" : "no")],
    [say("category"), clip.category && name(clip.category)],
    [say("case"), clip.case && name(clip.case)],
    [of("clip", "sha256"), clip.sha256 ?? ""],
    [of("clip", "sm3"), digests?.sm3 ?? ""],
    [of("clip", "unreadable"), (digests?.unreadable ?? []).map(([from, bytes]) => `${from}+${bytes}`).join(", ")],
  ]);
}

function deliveries(all) {
  return table(say("deliveries"), [
    [say("target"), (one) => name(one.target)],
    [of("page", "state"), (one) => word(state.words, "deliveries", one.state)],
    [say("since-when"), (one) => when(one.at)],
    [of("page", "problem"), (one) => (one.problem ? problem(one.problem) : ""), "long"],
    [say("receipt"), (one) => reported(one)],
  ], all);
}

function reported(one) {
  if (one.receipt === null) return "";
  return node("details", {}, node("summary", {}, say("receipt-of", { target: one.target })),
    node("pre", { tabindex: "0" }, JSON.stringify(one.receipt, null, 1)));
}

function events({ events: all }) {
  return table(say("events"), [
    [of("clip", "event"), (one) => one.event, "number"],
    [of("clip", "entry"), (one) => (one.signed ? one.event - 1 : of("clip", "unsigned")), "number"],
    [of("clip", "time"), (one) => when(one.at, 19)],
    [of("clip", "clock"), (one) => of("clip", one.trusted ? "trusted" : "untrusted")],
    [of("clip", "what"), (one) => name(happened(one)), "long"],
  ], all);
}
