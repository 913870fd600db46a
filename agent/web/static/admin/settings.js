// The central stores, and the configuration in force: read here, changed in its files.

import { get } from "./api.js";
import { name, node, section } from "./dom.js";
import { of, problem, say } from "./state.js";
import { table } from "./table.js";

export async function show(root) {
  const [{ targets }, configuration] = await Promise.all([get("/targets"), get("/configuration")]);
  root.append(section(say("targets"), stores(targets)), section(say("configuration"), values(configuration)));
}

function stores(targets) {
  return table(say("targets"), [
    [say("target"), (one) => name(one.target)],
    [say("kind"), (one) => one.kind],
    [of("page", "state"), (one) => say(one.up ? "up" : "down")],
    [of("page", "problem"), (one) => (one.problem ? problem(one.problem) : ""), "long"],
  ], targets);
}

function values(configuration) {
  return table(say("configuration"), [
    [say("key"), ([key]) => node("code", {}, key)],
    [say("value"), ([, value]) => node("code", {}, value), "long"],
  ], [...flat(configuration, "")]);
}

// A line for each value: `section.key`, as the files have it.
function* flat(value, key) {
  if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0) {
    for (const [below, one] of Object.entries(value)) yield* flat(one, key ? `${key}.${below}` : below);
  } else {
    yield [key, JSON.stringify(value)];
  }
}
