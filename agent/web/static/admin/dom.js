// Elements with their attributes and children. Text is only ever text: nothing here reads markup.

export function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A name that somebody else gave: whichever way it is written, what stands beside it stays where it is.
export const name = (text) => node("bdi", {}, text);

export const button = (text, click, attributes = {}) =>
  node("button", { type: "button", click, ...attributes }, text);

export const section = (title, ...children) => node("section", {}, node("h2", {}, title), ...children);

export const items = (texts) => node("ul", {}, ...texts.map((text) => node("li", {}, text)));

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== "");
  return node("dl", {}, ...shown.map(([title, value]) =>
    node("div", {}, node("dt", {}, title), node("dd", {}, typeof value === "number" ? `${value}` : value))));
}

// For who listens, and does not look.
export function announce(text) {
  const said = document.getElementById("said");
  said.textContent = "";
  setTimeout(() => { said.textContent = text; }, 50);
}

export const alarm = (text) => node("p", { class: "alarm", role: "alert" }, text);
