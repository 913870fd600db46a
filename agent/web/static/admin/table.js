// Tables that can be scrolled by keys alone, and pages of them.

import { button, node } from "./dom.js";
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

// `load`: a page's cursor → { shown: element, next: the next cursor or null }. Shows the first page at once.
export function pages(load) {
  const root = node("div", { class: "pages" });
  async function open(cursor) {
    root.setAttribute("aria-busy", "true");
    try {
      const { shown: page, next } = await load(cursor);
      const first = cursor === null ? null : button(say("first-page"), () => open(null));
      const more = next === null ? null : button(say("next-page"), () => open(next));
      root.replaceChildren(page, node("p", { class: "turn" }, first, more));
    } finally {
      root.setAttribute("aria-busy", "false");
    }
  }
  return { root, open };
}
