// What all views use. Whatever comes from events becomes text in the page, never markup.

// element makes an element with properties and children. A child that is a text stays text.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Characters that control something: a terminal, the direction of text, or nothing visible.
// Line breaks are among them only where a text is to be one line.
const hidden = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;
const hiddenInLine = new RegExp(hidden.source.replace("[", "[\\n"), "gu");

function escaped(character) {
  const short = { "\t": "\\t", "\r": "\\r", "\n": "\\n" }[character];
  const code = character.codePointAt(0).toString(16);
  return short || (code.length <= 2 ? "\\x" + code.padStart(2, "0") : "\\u" + code.padStart(4, "0"));
}

// text returns nodes that show a text, with what would be invisible as escapes. With lines,
// line breaks are kept. Only so many escapes are marked: a text of nothing else would make a
// hundred thousand elements.
const mostMarked = 1000;
export function text(value, lines = false) {
  const shown = document.createDocumentFragment(), all = String(value), which = lines ? hidden : hiddenInLine;
  let at = 0, marked = 0;
  for (const found of all.matchAll(which)) {
    if (marked++ === mostMarked) {
      shown.append(all.slice(at).replace(which, escaped));
      return shown;
    }
    shown.append(all.slice(at, found.index), element("span", { class: "hidden-character" }, escaped(found[0])));
    at = found.index + found[0].length;
  }
  shown.append(all.slice(at));
  return shown;
}

const numbers = new Intl.NumberFormat("en");
export const number = (value) => numbers.format(value);

// bytes returns a number of bytes as people read it.
export function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return (unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)) + " " + units[unit];
}

// time returns the time of day of a time in RFC 3339, and moment all of it.
export const time = (value) => new Date(value).toLocaleTimeString("en-GB", { hour12: false }) + "." + String(new Date(value).getMilliseconds()).padStart(3, "0");
export const moment = (value) => String(value).replace("T", " ");

// duration returns how long milliseconds are.
export function duration(ms) {
  if (ms < 1000) return Math.max(0, Math.round(ms)) + " ms";
  if (ms < 60_000) return (ms / 1000).toFixed(1) + " s";
  if (ms < 3_600_000) return Math.floor(ms / 60_000) + " min";
  if (ms < 86_400_000) return (ms / 3_600_000).toFixed(1) + " h";
  return Math.floor(ms / 86_400_000) + " days";
}

// microseconds returns a latency.
export function microseconds(us) {
  if (us < 0) return "–";
  if (us < 1000) return us + " µs";
  if (us < 1_000_000) return (us / 1000).toPrecision(3) + " ms";
  return (us / 1_000_000).toPrecision(3) + " s";
}

// cell makes a cell of a list. On a narrow screen its label is before it.
export function cell(label, content, className = "") {
  return element("td", { role: "cell", class: className, "data-label": label }, element("span", { class: "value" }, content));
}

// The key for a console that other machines reach. It is forgotten with the page.
let key = "";
export const setKey = (value) => { key = value; };

// Refused is an answer that is an error.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// ask sends a request, and returns the answer as it arrives.
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = "Bearer " + key;
  const answer = await fetch("api/" + path, { ...options, headers, cache: "no-store", redirect: "error" });
  if (answer.ok) return answer;
  let message = answer.status + " " + answer.statusText;
  try {
    message = (await answer.json()).error || message;
  } catch { /* it is not JSON */ }
  throw new Refused(answer.status, message);
}

export const get = async (path) => (await ask(path)).json();

// post sends a text of JSON.
export const post = async (path, body) =>
  (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body })).json();

// fields shows names and values, and leaves out what has no value.
export function fields(all) {
  const list = element("dl", { class: "fields" });
  for (const [name, value] of all) {
    list.append(element("dt", {}, name), element("dd", {}, value instanceof Node ? value : value === "" ? element("span", { class: "none" }, "none") : text(value)));
  }
  return list;
}

// message shows what an event holds.
export function message(event) {
  if (event.erased) return element("p", { class: "note" }, "This event was erased: its subject and data are gone.");
  const shown = document.createDocumentFragment();
  if (event.problem) shown.append(element("p", { class: "problem" }, "The message can't be shown as JSON: ", text(event.problem), ". These are its bytes in base64."));
  const block = element("pre", { class: "data", tabindex: "0", role: "group", "aria-label": "Message" });
  block.append(text(event.data, true));
  shown.append(block);
  if (event.cut) shown.append(element("p", { class: "note" }, "This is the beginning only: the message has " + bytes(event.bytes) + "."));
  return shown;
}
