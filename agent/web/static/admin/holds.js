// Legal holds: those in force, a new one, and lifting one, to which a second person has to agree.

import { get, send } from "./api.js";
import { button, name, node, section } from "./dom.js";
import { field, form, given } from "./form.js";
import { may, of, say, state, when } from "./state.js";
import { pages, table } from "./table.js";

const SCOPES = ["clip", "recorder", "officer", "case"];
const LIMIT = 50;
const LONGEST = { word: 64, text: 500 };
// Behind each order, also one that was refused or whose answer never came, the list tells what is so.

export async function show(root) {
  const whole = state.me.units.length === 0; // what a hold is about may be anybody's
  const lift = may("hold") && whole ? lifting(() => refresh()) : null;
  const { root: list, open } = pages(async (cursor) => {
    const page = await get("/holds", { limit: LIMIT, cursor });
    return { show: () => listed(page.holds, lift), next: page.next };
  });
  const refresh = () => open(null);
  root.append(list);
  if (lift) root.append(lift.root);
  if (may("hold")) root.append(section(say("set-hold"), setting(refresh, whole ? SCOPES : ["clip"])));
  if (whole && (may("hold") || may("label"))) root.append(section(say("agree"), agreeing(refresh)));
  await refresh();
}

function listed(holds, lift) {
  const columns = [
    [of("retention", "hold"), (one) => one.hold, "number"],
    [of("retention", "scope"), (one) => say(`scope-${one.scope}`)],
    [of("retention", "value"), (one) => name(one.value)],
    [of("retention", "time"), (one) => (one.since || one.until ? `${when(one.since)} … ${when(one.until)}` : "")],
    [say("set-at"), (one) => when(one.set_at) + (one.set_at_trusted ? "" : ` ${say("untrusted")}`)],
    [say("set-by"), (one) => name(one.set_by)],
    lift && [say("lift"), (one) => button(say("lift"), () => lift.open(one.hold), { "aria-label": say("lift-hold", one) })],
  ];
  return table(say("holds"), columns.filter(Boolean), holds);
}

function setting(refresh, scopes) {
  const fields = [
    field(of("retention", "scope"), { name: "scope" }, scopes.map((one) => [one, say(`scope-${one}`)])),
    field(of("retention", "value"), { name: "value", required: true, maxlength: LONGEST.word }),
    field(say("recorded-since"), { name: "since", type: "datetime-local" }),
    field(say("recorded-until"), { name: "until", type: "datetime-local" }),
    reason(),
  ];
  return form(say("set-hold"), fields, say("set-hold"), async (values) => {
    const done = await send("POST", "/holds", given(values)).finally(refresh);
    return of("retention", done.clips ? "hold-set" : "hold-set-none", done);
  });
}

// Below the list, for the hold that was chosen.
function lifting(refresh) {
  let chosen = null;
  const title = node("h2");
  const made = form(say("lift"), [reason()], say("lift"), async (values) => {
    const done = await send("POST", `/holds/${chosen}/lift`, values).finally(refresh);
    return done.asked ? say("asked", done) : of("retention", "hold-lift", done);
  });
  const root = node("section", { hidden: true }, title, made);
  return {
    root,
    open: (hold) => {
      chosen = hold;
      title.textContent = say("lift-hold", { hold });
      root.hidden = false;
      made.querySelector("input").focus();
    },
  };
}

function agreeing(refresh) {
  const fields = [field(say("asked-number"), { name: "asked", required: true, inputmode: "numeric", pattern: "[1-9][0-9]*" })];
  return form(say("agree"), fields, say("agree"), async ({ asked }) => {
    const done = await send("POST", `/asks/${asked}/agree`).finally(refresh);
    return say("agreed", { asked, what: say(`what-${done.what}`) });
  });
}

const reason = () => field(say("reason"), { name: "reason", required: true, maxlength: LONGEST.text });
