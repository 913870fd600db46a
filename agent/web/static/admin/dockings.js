// Dockings, the newest first, each with its receipt.

import { size } from "../words.js";
import { get } from "./api.js";
import { name } from "./dom.js";
import { field, form } from "./form.js";
import { receiptButton } from "./receipt.js";
import { may, of, say, state, when } from "./state.js";
import { pages, table } from "./table.js";

const LIMIT = 50;
const LONGEST = 200;

export async function show(root) {
  let recorder = "";
  const { root: found, open } = pages(async (cursor) => {
    const page = await get("/dockings", { recorder, limit: LIMIT, cursor });
    return { show: () => listed(page.dockings), next: page.next };
  });
  if (may("see-names")) {
    root.append(form(say("search"), [field(say("recorder"), { name: "recorder", maxlength: LONGEST })], say("search"), (values) => {
      recorder = values.recorder;
      return open(null);
    }, { class: "search", role: "search" }));
  }
  root.append(found);
  await open(null);
}

function listed(dockings) {
  const columns = [
    [of("clip", "docking"), (one) => one.docking, "number"],
    [of("page", "slot"), (one) => name(one.slot)],
    [of("page", "recorder"), (one) => name(one.recorder)],
    [of("page", "officer"), (one) => name(one.officer)],
    [say("docked"), (one) => when(one.started) + (one.started_trusted ? "" : ` ${say("untrusted")}`)],
    [say("ended-at"), (one) => when(one.ended)],
    [say("outcome"), (one) => outcome(one.outcome)],
    [of("page", "clips"), (one) => one.clips, "number"],
    [of("page", "size"), (one) => size(one.bytes), "number"],
    may("see-names") && [say("receipt"), (one) => (one.ended ? receiptButton(one.docking) : "")],
  ];
  return table(say("dockings"), columns.filter(Boolean), dockings);
}

// null: it still goes on, or was cut by the end of the agent.
function outcome(key) {
  if (key === null) return "";
  const known = `outcome-${key}`;
  return known in state.words.admin ? say(known) : say("outcome-other", { key });
}
