// The code of a docking's receipt. It can be had once the docking has ended and the log has signed that: asked
// for until then, now and then.

import { fill, word } from "./words.js";

const AGAIN_MS = 3000;

export function receipt(image) {
  let due = 0;
  image.hidden = true;
  image.addEventListener("error", () => {
    image.hidden = true;
    image.removeAttribute("src");
    due = performance.now() + AGAIN_MS;
  });
  return (slot, words) => {
    const ended = slot.docking !== null && ["collected", "incomplete"].includes(slot.state);
    const wanted = ended ? `/kiosk/receipt.svg?docking=${slot.docking}` : null;
    if (image.getAttribute("src") !== wanted && performance.now() >= due) {
      if (wanted) image.src = wanted;
      else image.removeAttribute("src");
    }
    image.hidden = !image.hasAttribute("src");
    image.alt = fill(word(words, "kiosk", "receipt"), { docking: slot.docking ?? "" });
  };
}
