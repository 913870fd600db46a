// All that is known of one slot, large, with the code of its docking's receipt. Closes by itself.

import { receipt } from "./receipt.js";
import { part, picture, set } from "./tile.js";
import { word } from "./words.js";

const CLOSE_MS = 60000;

const dialog = document.getElementById("detail");
const parts = picture(dialog);
const code = part("img", "receipt");
const showReceipt = receipt(code);
const close = part("button", "close");
close.type = "button";
close.addEventListener("click", () => dialog.close());
dialog.append(code, close);
parts.slot.id = "detail-slot";

let chosen = null;
let timer = 0;

export function open(slot) {
  chosen = slot;
  dialog.showModal();
  clearTimeout(timer);
  timer = setTimeout(() => dialog.close(), CLOSE_MS);
}

export function refresh(slots, words, language) {
  if (!dialog.open) return;
  const slot = slots.find((one) => one.slot === chosen);
  if (!slot) {
    dialog.close();
    return;
  }
  parts.show(slot, words, language);
  showReceipt(slot, words);
  set(close, word(words, "kiosk", "close"));
}
