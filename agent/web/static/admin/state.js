// What every view knows: the words, and who looks.

import { fill, sentence, word } from "../words.js";

export const state = {
  language: localStorage.getItem("language") ?? document.documentElement.lang,
  words: null,
  me: null, // GET /session, of an account; null: nobody is logged in
  left: {}, // what views remember of who is logged in, and nobody after that one sees
};

export const may = (right) => state.me !== null && state.me.rights.includes(right);

export const of = (section, key, params = {}) => fill(word(state.words, section, key), params);

export const say = (key, params = {}) => of("admin", key, params);

export const problem = ({ key, params }) => sentence(state.words, key, params);

// A moment as the station's own clock shows it, whatever zone the browser is in.
export const when = (text, digits = 16) => (text ? text.slice(0, digits).replace("T", " ") : "–");
