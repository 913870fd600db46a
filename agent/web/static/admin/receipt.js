// The receipt of a docking, whole, as it can be kept or handed out.

import { text, told } from "./api.js";
import { alarm, button, node } from "./dom.js";
import { say } from "./state.js";

export function receiptButton(docking) {
  return button(say("receipt"), (event) => open(docking, event.currentTarget), { "aria-label": say("receipt-of-docking", { docking }) });
}

// Nothing is shown where `opener` is not any more: somebody else may be logged in by then.
async function open(docking, opener) {
  const title = say("receipt-of-docking", { docking });
  const dialog = node("dialog", { "aria-label": title }, node("h2", {}, title));
  try {
    dialog.append(node("pre", { tabindex: "0" }, await text(`/dockings/${docking}/receipt`)));
  } catch (error) {
    dialog.append(alarm(told(error)));
  }
  if (!opener.isConnected) return;
  dialog.append(button(say("close"), () => dialog.close()));
  dialog.addEventListener("close", () => dialog.remove());
  document.getElementById("main").append(dialog);
  dialog.showModal();
}
