// Logging in. `why`: what is to be said first; `come` is given who came.

import { send } from "./api.js";
import { node } from "./dom.js";
import { field, form } from "./form.js";
import { say } from "./state.js";

const LONGEST = { name: 200, password: 1000 };

export function login(why, come) {
  const fields = [
    field(say("account"), { name: "name", required: true, maxlength: LONGEST.name, autocomplete: "username" }),
    field(say("password"), {
      name: "password", type: "password", required: true, maxlength: LONGEST.password, autocomplete: "current-password",
    }),
  ];
  const work = async (values) => come(await send("POST", "/session", values));
  return node("div", { class: "login", "data-view": "login" },
    node("h1", {}, say("login")),
    why && node("p", { class: "alarm", role: "alert" }, why),
    form(say("login"), fields, say("login"), work));
}
