// Sentences and values as people read them: what agent/words does in Python, in the browser.

const known = {};

// `page`: of which the words are wanted.
export async function load(language, page) {
  if (!known[language]) {
    const answer = await fetch(`/words/${language}/${page}.json`);
    if (!answer.ok) throw new Error(`no words: ${answer.status}`);
    known[language] = await answer.json();
  }
  return known[language];
}

export function word(words, section, key) {
  return words[section]?.[key] ?? key;
}

export function sentence(words, key, params, section = "problems") {
  const known = words[section] ?? {};
  const template = known[`${key}-${params.kind}`] ?? known[key]; // a sentence of its own for each kind
  if (template !== undefined) return fill(template, params);
  const listed = Object.entries(params).map(([name, param]) => `${name}=${param}`).join(", ");
  return listed ? `${key} (${listed})` : key;
}

export function fill(template, params) {
  return template.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, form) => {
    if (!Object.hasOwn(params, name)) return "?";
    const param = params[name];
    if (form === "size") return size(param);
    if (form === "duration") return duration(param);
    return Array.isArray(param) ? param.join(", ") : String(param);
  });
}

export function size(bytes) {
  if (typeof bytes !== "number") return String(bytes);
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(amount) < 1024) return `${amount.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}

export function duration(seconds) {
  if (typeof seconds !== "number") return String(seconds);
  const total = Math.floor(Math.abs(seconds) + 0.5);
  const sign = seconds < 0 && total ? "-" : "";
  const two = (number) => String(number).padStart(2, "0");
  if (total < 60) return `${sign}${total} s`;
  if (total < 3600) return `${sign}${Math.floor(total / 60)}:${two(total % 60)} min`;
  if (total < 2 * 86400) return `${sign}${Math.floor(total / 3600)}:${two(Math.floor((total % 3600) / 60))} h`;
  return `${sign}${Math.floor(total / 86400)} d`;
}

const clocks = {};

// Made once: to make one takes longer than to use it a hundred times.
function clock(language, today) {
  const shown = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const whole = today ? shown : { ...shown, month: "numeric", day: "numeric" };
  return clocks[`${language} ${today}`] ??= new Intl.DateTimeFormat(language, whole);
}

// A moment as clocks on the wall show it, with its day when that is another one.
export function time(seconds, language) {
  const moment = new Date(seconds * 1000);
  return clock(language, moment.toDateString() === new Date().toDateString()).format(moment);
}
