// What is unexplained about recordings, and whose clock is off.

import { get } from "./api.js";
import { items, name, section } from "./dom.js";
import { field, form } from "./form.js";
import { finding, standing } from "./sentences.js";
import { of, say, when } from "./state.js";
import { pages, table } from "./table.js";

const LIMIT = 50;

export async function show(root) {
  let every = "";
  const found = pages(async (cursor) => {
    const page = await get("/findings", { every, limit: LIMIT, cursor });
    return { show: () => listed(page.findings), next: page.next };
  });
  const compared = pages(async (cursor) => {
    const page = await get("/clocks", { limit: LIMIT, cursor });
    return { show: () => clocks(page.clocks), next: page.next };
  });
  const choices = [["", say("open-ones")], ["true", say("every-one")]];
  const search = form(say("findings"), [field(say("which"), { name: "every" }, choices)], say("search"), (values) => {
    every = values.every;
    return found.open(null);
  }, { class: "search" });
  root.append(section(say("completeness"), search, found.root), section(say("clocks"), compared.root));
  await Promise.all([found.open(null), compared.open(null)]);
}

function listed(findings) {
  return table(say("completeness"), [
    [of("page", "found"), (one) => when(one.found_at)],
    [of("page", "recorder"), (one) => name(one.recorder)],
    [of("clip", "docking"), (one) => one.docking, "number"],
    [of("page", "finding"), (one) => name(finding(one)), "long"],
    [of("page", "state"), (one) => items(standing(one))],
  ], findings);
}

function clocks(all) {
  return table(say("clocks"), [
    [of("clocks", "recorder"), (one) => name(one.recorder)],
    [of("clocks", "dockings"), (one) => one.dockings, "number"],
    [of("clocks", "docked"), (one) => when(one.docked)],
    [of("clocks", "ahead"), (one) => span(one.ahead_seconds), "number"],
    [of("clocks", "drift"), (one) => span(one.drift_seconds_a_day), "number"],
    [of("clocks", "verdict"), (one) => of("clocks", one.wrong ? "wrong" : "possible")],
  ], all);
}

// In seconds, from the least to the most; where nothing bounds it, without an end.
function span([low, high]) {
  if (low !== null && high !== null && low > high) return of("clocks", "contradicts");
  const end = (value, none) => (value === null ? none : `${value < 0 ? "" : "+"}${value.toFixed(1)}`);
  return `${end(low, "−∞")} … ${end(high, "∞")}`;
}
