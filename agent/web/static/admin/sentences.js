// What happened, what is missing and why something is kept, in plain words: as the commands say it.

import { sentence } from "../words.js";
import { of, problem, state, when } from "./state.js";

// An event of a clip, and behind it what people wrote.
export function happened({ kind, facts, texts }) {
  const said = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, text ?? of("findings", "erased")]));
  const variants = [`${kind}-${facts.what}`, facts.reason ? `${kind}-again` : kind, kind];
  const key = variants.find((one) => one in state.words.events) ?? kind;
  const written = [said.reason, said.text].filter(Boolean);
  return [sentence(state.words, key, { ...facts, ...said }, "events"), ...written].join(" — ");
}

export function finding(one) {
  const { facts } = one;
  const numbers = (facts.numbers ?? []).map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  const params = { ...facts, numbers, after: facts.after?.recorded_at ?? "?", before: facts.before?.recorded_at ?? "?" };
  return `${one.finding}: ${sentence(state.words, one.rule, params, "findings")} (${of("findings", `is-${one.state}`)})`;
}

// How it stands with a finding: where it was looked for, or what a custodian says of it.
export function standing(one) {
  if (one.state === "open") {
    return one.looked.map(({ target, at, left }) => of("findings", "looked", { target, time: when(at), left }));
  }
  if (one.state !== "explained") return [];
  return [`${one.explained_by}, ${when(one.changed_at)}: ${one.explanation ?? of("findings", "erased")}`];
}

// Why a clip is kept, a sentence for each reason.
export function kept(told) {
  const until = (text) => (text === null ? of("retention", "for-ever") : when(text));
  const { counts_from: from, centre } = told;
  return [
    of("retention", `by-${from.by}`, { time: until(from.at) }),
    ...told.rules.map((one) => of("retention", "matches", { rule: one.rule, gives: one.class, time: until(one.until) })),
    ...(told.rules.length === 0 ? [of("retention", "no-rule")] : []),
    ...(centre.rule === null ? [] : [of("retention", "wins", { rule: centre.rule, time: until(centre.until) })]),
    ...told.hinders.map(({ key, params }) =>
      problem({ key, params: "until" in params ? { ...params, until: until(params.until) } : params })),
    ...(told.hinders.length === 0 ? [of("retention", "may-go")] : []),
  ];
}
