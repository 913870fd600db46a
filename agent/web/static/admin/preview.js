// The recording itself, as far as the browser can show it: nothing is decoded at the station. Each start is an
// entry of the log; its address is for this session alone, and ends after some minutes.

import { had, send, told } from "./api.js";
import { alarm, button, node } from "./dom.js";
import { say } from "./state.js";

const TAGS = { video: "video", audio: "audio", image: "img" };

// `signal` ends with the view, and what is shown with it.
export function preview(clip, signal) {
  const place = node("div", { class: "screen" });
  let underWay = false;
  async function open() {
    if (underWay) return; // two entries for one look
    underWay = true;
    empty(place);
    try {
      const view = await send("POST", `/clips/${clip.clip}/views`, {});
      if (!signal.aborted) place.replaceChildren(...shown(view));
    } catch (error) {
      place.replaceChildren(alarm(told(error)));
    } finally {
      underWay = false;
    }
  }
  signal.addEventListener("abort", () => empty(place));
  return node("div", {}, node("p", { class: "note" }, say("preview-is-entry")), button(say("open-preview"), open), place);
}

// To look is not to copy: a copy is exported, where somebody has to approve of that.
function shown(view) {
  const tag = TAGS[view.media.split("/")[0]];
  if (!tag) return [node("p", {}, say("not-playable"))];
  const label = say("recording-of", { clip: view.clip });
  const player = node(tag, tag === "img" ? { alt: label } : { controls: true, controlsList: "nodownload", preload: "metadata", "aria-label": label });
  player.addEventListener("error", async () => {
    if (!player.isConnected) return;
    const said = await why(view);
    if (player.isConnected) player.replaceWith(alarm(said));
  });
  player.src = view.address;
  return [player, node("p", { class: "note" }, say("ends-after", { minutes: view.seconds / 60 }))];
}

// A player only says that it cannot go on. Where that is not because of the file, the station tells.
const why = (view) => had(view.address).then(() => say("cannot-play"), told);

// What is only taken out of the page goes on fetching for a while.
function empty(place) {
  const players = [...place.querySelectorAll("video, audio")];
  place.replaceChildren();
  for (const player of players) {
    player.pause();
    player.removeAttribute("src");
    player.load();
  }
}
