// What is wrong with the station and what to do about it, and how it stands with its disk; live.

import { word } from "../words.js";
import { told, watch } from "./api.js";
import { alarm, facts, node, section } from "./dom.js";
import { of, problem, say, state, when } from "./state.js";

const EVERY_MS = 5000;
const AHEAD = 90; // days that the station looks ahead

export function show(root, signal) {
  const shown = node("div");
  const failed = node("div");
  root.append(failed, shown);
  return watch("/status", EVERY_MS, signal, (news) => {
    failed.replaceChildren();
    shown.hidden = false;
    if (news !== null) shown.replaceChildren(issues(news.health), disk(news), station(news));
  }, (error) => {
    // What was so a while ago may not be so any more.
    shown.hidden = true;
    if (failed.childElementCount === 0) failed.replaceChildren(alarm(told(error)));
  });
}

function issues(all) {
  if (all.length === 0) return section(of("page", "health"), node("p", { class: "well" }, of("page", "well")));
  return section(of("page", "health"), node("ul", { class: "issues" }, ...all.map(issue)));
}

function issue(one) {
  const remedy = state.words.remedies[one.key];
  return node("li", { class: one.severity },
    node("p", {}, node("strong", {}, of("severity", one.severity)), " ", problem(one), " ",
      node("span", { class: "since" }, say("since-time", { time: when(one.since) }))),
    remedy ? node("p", { class: "remedy" }, remedy) : "");
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
