// The published interface. What it refuses becomes a sentence; who is not logged in any more is told so once.

import { problem, say, state } from "./state.js";

const PATIENCE_MS = 15000;
const ROOT = "/api/v1";

export class Refusal extends Error {
  constructor(status, { key, params }) {
    super(key);
    this.status = status;
    this.problem = { key, params: params ?? {} };
  }
}

// An order was given, and nobody knows what became of it.
class Unanswered extends Error {}

// What went wrong, for people.
export function told(error) {
  if (error instanceof Refusal) return problem(error.problem);
  return error instanceof Unanswered ? say("order-unanswered") : say("no-answer");
}

let ended = () => {};
export function whenEnded(work) { ended = work; }

async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(`${ROOT}${path}`, { cache: "no-store", signal, ...options });
  if (answer.ok || answer.status === 304) return answer;
  const refusal = await refused(answer);
  if (answer.status === 401 || answer.status === 403) await mayHaveEnded(answer.status);
  throw refusal;
}

const refused = async (answer) => new Refusal(answer.status, await answer.json().catch(() => ({ key: "bad-request" })));

// Before the rack nobody is ever refused for being nobody: there the screen's own rights are left.
async function mayHaveEnded(status) {
  if (state.me === null) return;
  const still = status === 403 && await session().then((who) => who !== null, () => true);
  if (!still && state.me !== null) ended();
}

// Who is logged in; null: nobody is. Raises where the station does not say.
export async function session() {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(`${ROOT}/session`, { cache: "no-store", signal });
  if (answer.status === 401) return null;
  if (!answer.ok) throw await refused(answer);
  const who = await answer.json();
  return who.how === "session" ? who : null;
}

export async function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return (await ask(query ? `${path}?${query}` : path)).json();
}

export const text = async (path) => (await ask(path)).text();

export async function send(method, path, body = null) {
  const options = { method };
  if (body !== null) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await ask(path, options).catch((error) => {
    throw error instanceof Refusal ? error : new Unanswered(error.message);
  });
  return answer.status === 204 ? null : answer.json();
}

// Whether the recording at `address` is still to be had; raises what the station says of it.
export async function had(address) {
  try {
    await ask(address.slice(ROOT.length), { headers: { Range: "bytes=0-0" } });
  } catch (error) {
    if (error.status !== 416) throw error; // it is empty
  }
}

// Asks for `path` again and again until `signal` ends it. `take` is given what is new, or null when nothing has
// changed, and when that was asked for; `fail` what went wrong. Returns behind the first answer.
export function watch(path, everyMs, signal, take, fail) {
  let mark = null;
  async function look() {
    const asked = performance.now(); // the answer is of no earlier moment
    try {
      const answer = await ask(path, mark === null ? {} : { headers: { "If-None-Match": mark } });
      const news = answer.status === 304 ? null : await answer.json();
      if (signal.aborted) return;
      mark = answer.headers.get("etag") ?? null;
      take(news, asked);
    } catch (error) {
      if (signal.aborted) return;
      fail(error);
    }
    setTimeout(() => signal.aborted || look(), everyMs);
  }
  return look();
}
