// What is wrong with the station and what to do about it, and how it stands with its disk; live.

import { word } from "../words.js";
import { send, told, watch } from "./api.js";
import { alarm, button, facts, name, node, section } from "./dom.js";
import { field, form } from "./form.js";
import { may, of, problem, say, state, when } from "./state.js";

const EVERY_MS = 5000;
const AHEAD = 90; // days that the station looks ahead
const LONGEST = 500; // characters of a note

export function show(root, signal) {
  const shown = node("div");
  const failed = node("div");
  const knowing = may("acknowledge") ? acknowledging() : null;
  root.append(failed, shown, ...(knowing ? [knowing.root] : []));
  return watch("/status", EVERY_MS, signal, (news) => {
    failed.replaceChildren();
    shown.hidden = false;
    if (news !== null) shown.replaceChildren(issues(news.health, knowing), disk(news), station(news));
  }, (error) => {
    // What was so a while ago may not be so any more.
    shown.hidden = true;
    if (failed.childElementCount === 0) failed.replaceChildren(alarm(told(error)));
  });
}

function issues(all, knowing) {
  if (all.length === 0) return section(of("page", "health"), node("p", { class: "well" }, of("page", "well")));
  return section(of("page", "health"), node("ul", { class: "issues" }, ...all.map((one) => issue(one, knowing))));
}

function issue(one, knowing) {
  const remedy = state.words.remedies[one.key];
  return node("li", { class: one.severity },
    node("p", {}, node("strong", {}, of("severity", one.severity)), " ", problem(one), " ",
      node("span", { class: "since" }, say("since-time", { time: when(one.since) }))),
    remedy ? node("p", { class: "remedy" }, remedy) : "",
    one.acknowledged ? known(one.acknowledged) : knowing
      && button(say("acknowledge"), () => knowing.open(one), { "aria-label": say("acknowledge-issue", { issue: problem(one) }) }));
}

const known = ({ by, at, note }) =>
  node("p", { class: "known" }, name(say("acknowledged-by", { by, time: when(at), note })));

// Below the issues, for the one that was chosen: those are shown anew every few seconds.
function acknowledging() {
  let chosen = null;
  const title = node("h2");
  const note = field(say("note"), { name: "note", required: true, maxlength: LONGEST });
  const made = form(say("acknowledge"), [note], say("acknowledge"), async (values) => {
    await send("POST", `/issues/${encodeURIComponent(chosen.key)}/acknowledge`, { ...values, subject: chosen.subject });
    made.reset();
    return say("acknowledged");
  });
  const root = node("section", { hidden: true, class: "acknowledging" }, title, made);
  return {
    root,
    open: (one) => {
      chosen = one;
      title.textContent = say("acknowledge-issue", { issue: problem(one) });
      root.hidden = false;
      made.querySelector("input").focus();
    },
  };
}

function disk({ disk: told, queue }) {
  const { per_day: comes, full_in_days: days } = told;
  const coming = comes === null ? say("not-known-yet")
    : days === null ? of("page", "not_full", { per_day: comes, within: AHEAD })
      : of("page", "full_in", { per_day: comes, days });
  return section(of("page", "disk"), facts([
    [of("page", "disk"), of("page", "disk_value", told)],
    [say("forecast"), coming],
    [of("page", "queue"), of("page", "queue_value", queue)],
  ]));
}

function station(news) {
  const counts = Object.entries(news.clips).filter(([, count]) => count > 0);
  return section(say("station"), facts([
    [say("station"), news.station],
    [say("version"), news.version],
    [say("clock"), of("page", news.clock_trusted ? "clock_trusted" : "clock_untrusted")],
    [say("unexplained"), news.findings.open],
    ...counts.map(([name, count]) => [`${of("page", "clips")}: ${word(state.words, "clips", name)}`, count]),
  ]));
}
