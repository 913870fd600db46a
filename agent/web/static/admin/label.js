// Labels for all clips that are marked. What lets any of them go earlier waits for a second person.

import { send } from "./api.js";
import { field, form, given } from "./form.js";
import { of, say } from "./state.js";

const LONGEST = { word: 64, text: 500 };

// `marked`: the ids; `after`: shows them as they are then. `tell`: how many they are has changed.
export function labelling(marked, after) {
  const short = (key) => field(say(key), { name: key, maxlength: LONGEST.word });
  const fields = [
    short("category"),
    short("case"),
    short("officer"),
    field(say("important"), { name: "important" }, [["", say("as-it-is")], ["yes", say("yes")], ["no", say("no")]]),
    field(say("note"), { name: "note", maxlength: LONGEST.text }),
    field(say("reason"), { name: "reason", required: true, maxlength: LONGEST.text }),
  ];
  const made = form(say("label"), fields, say("label"), async (values) => {
    const done = await send("POST", "/labels", { clips: [...marked], ...given(values) });
    await after();
    if (done.asked) return say("asked", done);
    return of("retention", "labelled", done);
  }, { class: "labels" }, () => marked.size > 0);
  const order = made.querySelector(".order");
  const tell = () => {
    order.textContent = say("label-marked", { count: marked.size });
    order.disabled = marked.size === 0;
  };
  tell();
  return { form: made, tell };
}
