// The recording itself, as far as the browser can show it: nothing is decoded at the station. Each start is an
// entry of the log; its address is for this session alone, and ends after some minutes.

import { send, told } from "./api.js";
import { alarm, button, node } from "./dom.js";
import { say } from "./state.js";

const TAGS = { video: "video", audio: "audio", image: "img" };

export function preview(clip) {
  const place = node("div", { class: "screen" });
  const open = async () => {
    place.replaceChildren();
    try {
      place.replaceChildren(...shown(await send("POST", `/clips/${clip.clip}/views`, {}), place));
    } catch (error) {
      place.replaceChildren(alarm(told(error)));
    }
  };
  return node("div", {}, node("p", { class: "note" }, say("preview-is-entry")), button(say("open-preview"), open), place);
}

function shown(view, place) {
  const tag = TAGS[view.media.split("/")[0]];
  const save = node("p", {}, node("a", { href: view.address, download: `clip-${view.clip}` }, say("save")));
  if (!tag) return [node("p", {}, say("not-playable")), save];
  const label = say("recording-of", { clip: view.clip });
  const player = node(tag, tag === "img" ? { alt: label } : { controls: true, preload: "metadata", "aria-label": label });
  player.addEventListener("error", () => {
    player.remove();
    place.prepend(alarm(say("cannot-play")));
  });
  player.src = view.address;
  return [player, node("p", { class: "note" }, say("ends-after", { minutes: view.seconds / 60 })), save];
}
