// The hand-in report of a day: in time, late, unknown, not collected, not there.

import { duration } from "../words.js";
import { get } from "./api.js";
import { name, node } from "./dom.js";
import { field, form } from "./form.js";
import { of, say, when } from "./state.js";
import { table } from "./table.js";

const FIGURES = ["clips", "in_time", "late", "unknown", "uncollected"];

export async function show(root) {
  const report = node("div");
  const day = field(say("day"), { name: "day", type: "date" });
  const open = async (values) => {
    report.replaceChildren(); // of another day
    const told = await get("/handin", values);
    day.querySelector("input").value = told.day;
    report.replaceChildren(...shown(told));
  };
  root.append(form(say("handin"), [day], say("search"), open, { class: "search" }), report);
  await open({});
}

function shown({ day, recorders, late, more }) {
  if (recorders.length === 0) return [node("p", { class: "none" }, of("handin", "none"))];
  const total = Object.fromEntries(FIGURES.map((key) => [key, recorders.reduce((sum, one) => sum + one[key], 0)]));
  const away = recorders.filter((one) => one.away).length;
  return [
    node("p", {}, of("handin", "total", { ...total, from: day, to: day, away })),
    more ? node("p", { class: "alarm" }, say("too-many")) : "",
    tallies(recorders),
    late.length ? lateOnes(late) : "",
  ];
}

function tallies(recorders) {
  const figure = (key) => [of("handin", key), (one) => (one.away ? "" : one[key]), "number"];
  return table(say("by-recorder"), [
    [of("handin", "unit"), (one) => name(one.unit)],
    [of("handin", "officer"), (one) => name(one.officer)],
    [of("handin", "recorder"), (one) => name(one.recorder)],
    ...FIGURES.map(figure),
    [of("handin", "most_late"), (one) => (one.late ? duration(one.most_late) : "")],
    [say("outcome"), (one) => (one.away ? of("handin", "not-docked") : "")],
  ], recorders);
}

function lateOnes(late) {
  return table(of("handin", "late"), [
    [of("handin", "clip"), (one) => one.clip, "number"],
    [of("handin", "officer"), (one) => name(one.officer)],
    [of("handin", "recorder"), (one) => name(one.recorder)],
    [of("handin", "recorded"), (one) => when(one.recorded)],
    [of("handin", "handed"), (one) => when(one.handed)],
    [of("handin", "most_late"), (one) => duration(one.late)],
  ], late);
}
