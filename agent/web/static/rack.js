// What the rack as a whole says: where there is room, what is done next, when all is done, and how its tiles lie.

import { isDone } from "./tile.js";

const SHAPE = 1.3; // width of a good tile, by its height

// Free slots; of a rack that is full, as far as it is in use, those that may be emptied; else the one that is done first.
export function room(slots) {
  const usable = slots.filter((slot) => slot.out_of_use === null);
  if (usable.length === 0) return { key: "none_in_use", slots: [] };
  const free = slots.filter((slot) => slot.state === "empty");
  if (free.length > 0) return { key: "free", slots: free.map((slot) => slot.slot) };
  const done = usable.filter(isDone);
  if (done.length > 0) return { key: "full_take", slots: done.map((slot) => slot.slot) };
  const [next] = usable.filter((slot) => slot.eta_seconds !== null).sort((a, b) => a.eta_seconds - b.eta_seconds);
  return next ? { key: "full_next", slots: [next.slot], seconds: Math.max(1, next.eta_seconds) } : { key: "full_wait", slots: [] };
}

// Seconds until all is copied, at the speed of now; null while nobody can tell; 0 when there is nothing to copy.
export function finish(slots) {
  const busy = slots.filter((slot) => ["collecting", "identifying"].includes(slot.state));
  if (busy.some((slot) => slot.state === "identifying")) return null;
  const left = busy.reduce((sum, slot) => sum + Math.max(0, slot.bytes_total - slot.bytes_done), 0);
  const speed = busy.reduce((sum, slot) => sum + slot.bytes_per_second, 0);
  if (busy.length === 0) return 0;
  return left > 0 && speed > 0 ? Math.max(1, left / speed) : null;
}

// The columns with which the tiles become largest; a place that stays empty speaks against them.
export function arrange(count, width, height) {
  let best = { columns: 1, rows: Math.max(1, count), size: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const size = Math.min(width / columns / SHAPE, height / rows) * (count / columns / rows) ** 2;
    if (size > best.size) best = { columns, rows, size };
  }
  return best;
}
