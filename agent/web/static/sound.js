// A beep for each new problem, once. A browser that forbids sound, or has none, is no reason to stop the page.

const HERTZ = 880;
const SECONDS = 0.3;

let context = null;
let heard = null; // the problems of the last look; null: the page has just been opened, and nothing is new

export function alarm(problems) {
  const fresh = heard !== null && problems.some((problem) => !heard.has(problem));
  heard = new Set(problems);
  if (fresh) beep();
}

function beep() {
  try {
    context ??= new AudioContext();
    context.resume().catch(console.warn);
    const tone = context.createOscillator();
    tone.frequency.value = HERTZ;
    tone.connect(context.destination);
    tone.start();
    tone.stop(context.currentTime + SECONDS);
  } catch (error) {
    console.warn(error);
  }
}
