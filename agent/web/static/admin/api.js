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

// What went wrong, for people.
export const told = (error) => (error instanceof Refusal ? problem(error.problem) : say("no-answer"));

let ended = () => {};
export function whenEnded(work) { ended = work; }

async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(`${ROOT}${path}`, { cache: "no-store", signal, ...options });
  if (answer.ok || answer.status === 304) return answer;
  const said = await answer.json().catch(() => ({ key: "bad-request" }));
  if (answer.status === 401 || answer.status === 403) await mayHaveEnded(answer.status);
  throw new Refusal(answer.status, said);
}

// Before the rack nobody is ever refused for being nobody: there the screen's own rights are left.
async function mayHaveEnded(status) {
  if (state.me === null) return;
  const still = status === 403 && (await session().catch(() => null)) !== null;
  if (!still && state.me !== null) ended();
}

export async function session() {
  const answer = await fetch(`${ROOT}/session`, { cache: "no-store" });
  const who = answer.ok ? await answer.json() : null;
  return who?.how === "session" ? who : null;
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
  const answer = await ask(path, options);
  return answer.status === 204 ? null : answer.json();
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
