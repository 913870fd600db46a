// Tables that can be scrolled by keys alone, and pages of them.

import { told } from "./api.js";
import { alarm, button, node } from "./dom.js";
import { say } from "./state.js";

// `columns`: [title, row → text or element, "number" where figures stand below each other, "long" for much text].
export function table(title, columns, rows) {
  if (rows.length === 0) return node("p", { class: "none" }, say("none"));
  const head = columns.map(([text, , kind]) => node("th", { scope: "col", class: kind }, text));
  const body = rows.map((row) =>
    node("tr", {}, ...columns.map(([, cell, kind]) => node("td", { class: kind }, shown(cell(row))))));
  return node("div", { class: "scroll", role: "region", "aria-label": title, tabindex: "0" },
    node("table", {}, node("caption", {}, title), node("thead", {}, node("tr", {}, ...head)), node("tbody", {}, ...body)));
}

function shown(value) {
  return typeof value === "number" ? `${value}` : value;
}

// `load`: a page's cursor → { show: makes its element, next: the next cursor or null }. `open` shows the page of a
// cursor, `again` the one that is shown as it is now. What went wrong is told in its place: no page that is not of
// now, or not what was asked for last, stays.
export function pages(load) {
  const root = node("div", { class: "pages" });
  let turn = 0;
  let here = null;
  async function open(cursor, turned = false) {
    turn += 1;
    const mine = turn;
    root.setAttribute("aria-busy", "true");
    const { show, next } = await load(cursor).catch(failed);
    if (mine !== turn) return;
    here = cursor;
    const first = cursor === null ? null : button(say("first-page"), () => open(null, true));
    const more = next === null ? null : button(say("next-page"), () => open(next, true));
    const page = show();
    root.replaceChildren(page, node("p", { class: "turn" }, first, more));
    root.setAttribute("aria-busy", "false");
    if (turned) page.focus(); // the button that was pressed is gone
  }
  return { root, open, again: () => open(here) };
}

function failed(error) {
  console.warn(error);
  return { show: () => alarm(told(error)), next: null };
}
