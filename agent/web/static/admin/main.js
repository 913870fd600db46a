// The page: who is logged in, the views that are for that one, and one of them at a time.

import { load } from "../words.js";
import { get, Refusal, send, session, told, whenEnded } from "./api.js";
import { alarm, announce, button, node } from "./dom.js";
import { login } from "./login.js";
import { may, of, say, state } from "./state.js";

// Each with whom it is for, and in a file of its own, which is fetched when it is wanted first.
const VIEWS = {
  rack: () => may("see-status"),
  clips: () => may("see-clips"),
  holds: () => may("see-clips") && state.me.role !== "officer",
  dockings: () => may("see-clips"),
  handin: () => may("see-clips") && may("see-names"),
  findings: () => may("see-clips") && may("see-names"),
  health: () => may("see-status"),
  settings: () => may("see-settings"),
};
const NUMBER = /^[1-9][0-9]*$/;
const LOOK_MS = 20000; // between two looks whether the one who is shown is still the one who is logged in
const at = (id) => document.getElementById(id);
let looking = new AbortController(); // ends with the view

async function open() {
  [state.words, state.me] = await Promise.all([load(state.language, "admin"), session()]);
  frame();
  // An address with a clip may come from anywhere: who had the page open already has been asked.
  if (state.me) await view(false, { step: performance.getEntriesByType("navigation")[0]?.type === "reload" });
  else ask("");
}

function ask(why) {
  looking.abort();
  state.me = null;
  state.left = {};
  at("said").textContent = "";
  // Who comes next looks at no clip because somebody else did.
  if (location.hash.startsWith("#clip/")) history.replaceState(null, "", location.pathname);
  frame();
  at("main").replaceChildren(login(why, (who) => {
    state.me = who;
    frame();
    view(true);
  }));
  document.title = say("login");
  at("main").querySelector("input").focus();
}

function frame() {
  document.documentElement.lang = state.language;
  at("skip").textContent = say("skip");
  at("language").textContent = of("page", "other_language");
  at("logout").textContent = say("logout");
  at("logout").hidden = at("views").hidden = state.me === null;
  at("who").textContent = state.me ? `${state.me.name} · ${say(state.me.role)}` : "";
  if (state.me === null) at("station").textContent = of("page", "title");
  else nameStation().catch(console.warn);
  at("views").setAttribute("aria-label", say("views"));
  const offered = Object.entries(VIEWS).filter(([, one]) => one());
  at("views").replaceChildren(node("ul", {}, ...offered.map(([name]) =>
    node("li", {}, node("a", { href: `#${name}` }, say(name))))));
}

async function nameStation() {
  const { station } = await get("/status");
  at("station").textContent = station;
}

// `again`: the same view, in the other language. `step`: somebody asked for it on this page.
async function view(focus, { again = false, step = true } = {}) {
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  const [asked, argument] = location.hash.slice(1).split("/");
  const name = asked === "clip" && NUMBER.test(argument) ? "clip" : Object.hasOwn(VIEWS, asked) && VIEWS[asked]() ? asked : "rack";
  const title = name === "clip" ? say("story-of", { clip: argument }) : say(name);
  for (const link of at("views").querySelectorAll("a")) {
    const here = link.getAttribute("href") === `#${name === "clip" ? "clips" : name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${title} · ${of("page", "title")}`;
  const heading = node("h1", { tabindex: "-1" }, title);
  const root = node("div", { "data-view": name, "aria-busy": "true" });
  at("main").replaceChildren(heading, root);
  if (focus) heading.focus();
  if (name === "clip" && !(again ? state.left.story : step)) {
    root.append(node("p", { class: "note" }, say("story-is-entry")), button(say("open-story"), () => view(true)));
    root.setAttribute("aria-busy", "false");
    return;
  }
  try {
    const { show } = await import(`./${name === "clip" ? "story" : name}.js`);
    if (!signal.aborted) await show(root, signal, argument, again);
  } catch (error) {
    console.warn(error);
    root.append(alarm(told(error)));
  } finally {
    root.setAttribute("aria-busy", "false");
  }
}

async function lookWho() {
  const { me } = state;
  if (me === null || document.hidden) return;
  try {
    const who = await session();
    if (state.me === me && who?.name !== me.name) ask(say("ended"));
  } catch (error) {
    console.warn(error); // nobody knows; who asks for anything is told
  }
}

whenEnded(() => ask(say("ended")));
setInterval(lookWho, LOOK_MS);
document.addEventListener("visibilitychange", lookWho);
addEventListener("hashchange", () => { if (state.me && !location.hash.startsWith("#main")) view(true); });
at("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address tells the view
  at("main").focus();
});
at("language").addEventListener("click", async () => {
  const other = state.language === "zh" ? "en" : "zh";
  try {
    state.words = await load(other, "admin");
  } catch (error) {
    console.warn(error);
    announce(say("no-answer"));
    return;
  }
  state.language = other;
  localStorage.setItem("language", other);
  frame();
  if (state.me) view(false, { again: true });
  else ask("");
});
at("logout").addEventListener("click", async () => {
  try {
    await send("DELETE", "/session");
    ask("");
  } catch (error) {
    console.warn(error);
    // What has ended already needs no end.
    ask(error instanceof Refusal && error.status === 401 ? "" : say("logout-unanswered"));
  }
});
open().catch((error) => {
  console.warn(error);
  at("main").replaceChildren(alarm("连接中断 · Connection lost"));
});
