// The console: which view is shown, and what each asks the server for.
import * as charts from "./charts.js";
import * as form from "./form.js";
import { Letters } from "./letters.js";
import { Refused, ask, bytes, cell, duration, element, fields, get, message, moment, number, setKey, text, time } from "./view.js";

const by = (id) => document.getElementById(id);
const mostRows = 100;
let state = null;

// problem shows what went wrong with the view, "" for nothing.
function problem(why) {
  const place = by("problem");
  place.hidden = !why;
  if (place.textContent !== why) place.replaceChildren(text(why));
}

// Views. Each is shown by the part of the address after #, so that links and the browser's
// history work.

const letters = {
  dead: new Letters("events", by("dead-list"), by("dead-note"), by("dead-all")),
  rejected: new Letters("rejected", by("rejected-list"), by("rejected-note"), by("rejected-all")),
};

const views = {
  events: { show() {}, every: 0 },
  charts: { show: charts.show, every: 5000 },
  consumers: { show: showConsumers, every: 2000 },
  dead: { show: showDead, every: 0 },
  rejected: { show: showRejected, every: 0 },
  schemas: { show: showSchemas, every: 0 },
  send: { show: () => form.show(state.writes), every: 0 },
};

let view = "", query = new URLSearchParams(), timer = 0;

// open shows the view that the address names, perhaps with a query: #dead?consumer=NAME.
async function open(focus) {
  const [name, rest] = location.hash.slice(1).split("?");
  [view, query] = [Object.hasOwn(views, name) ? name : "events", new URLSearchParams(rest)];
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== "view-" + view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  problem("");
  document.title = document.querySelector(`nav a[data-view=${view}]`).textContent + " – " + (state ? state.program : "Console");
  if (focus) by("main").focus({ preventScroll: true });
  await refresh();
}

async function refresh() {
  clearTimeout(timer);
  if (!state) return;
  const shown = view;
  try {
    const again = await views[shown].show();
    if (shown !== view) return;
    problem("");
    const every = again || views[shown].every;
    if (every) timer = setTimeout(() => { if (!document.hidden) refresh(); }, every);
  } catch (error) {
    if (await failed(error)) return;
    if (shown === view) timer = setTimeout(refresh, 5000);
  }
}

// failed shows an error, and asks for a key if one is missing. It reports whether it did.
async function failed(error) {
  if (error instanceof Refused && error.status === 401) {
    login(error.message);
    return true;
  }
  problem(error.message);
  return false;
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  by("event").close(); // somebody has gone back from it
  open(true);
});
document.addEventListener("visibilitychange", () => {
  if (!state) return;
  follow();
  if (!document.hidden) refresh();
});

// The key.

let asked = false, needed = false;

function login(why) {
  const dialog = by("login"), note = by("login-problem");
  note.hidden = !asked;
  note.replaceChildren(text(why));
  asked = needed = true;
  if (!dialog.open) dialog.showModal();
  by("key").focus();
}

by("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(by("key").value.trim());
  by("key").value = "";
  needed = false;
  by("login").close();
  start();
});
by("login").addEventListener("close", () => { // there is nothing behind it
  if (needed) by("login").showModal();
});

// Events as they arrive.

let paused = false, stream = null, waiting = [], left = 0, opened = 0;
let server = 0, last = 0; // which process sent rows, and the position of the last one
let again = false, missed = false; // the stream is another one; the list may lack events between two
let other = false; // what waits takes the place of the list
const arrivals = []; // of the last seconds: when frames came, by this machine's clock, and how many events they say
const rows = document.querySelector("#events tbody");

// held reports whether the list must not move: it was paused, or the focus is in it, or a
// mouse has just moved over it, perhaps to a row.
let moved = 0;
const held = () => paused || rows.contains(document.activeElement) && document.activeElement.matches(":focus-visible") || Date.now() - moved < 1500;
rows.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") moved = Date.now(); });
rows.addEventListener("pointerleave", () => { moved = 0; });

async function follow() {
  stream?.abort();
  if (document.hidden) { // browsers have few connections to a server, for all their pages together
    stream = null;
    return;
  }
  const mine = stream = new AbortController();
  const wanted = new URLSearchParams(new FormData(by("filter")));
  while (stream === mine) {
    try {
      const answer = await ask("live?" + wanted, { signal: mine.signal });
      await frames(answer.body, mine);
    } catch (error) {
      if (stream !== mine) return;
      if (error instanceof Refused) {
        if (await failed(error)) return;
      } else {
        connected(false);
      }
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

// frames reads server-sent events. A page reads them by fetch, since EventSource sends no key.
async function frames(body, mine) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done || stream !== mine) break;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) frame(JSON.parse(part.replace(/^data: /, "")));
  }
  if (stream === mine) connected(false);
}

function connected(is) {
  const health = by("health");
  const unmet = state ? state.needs.filter((need) => !need.met) : [];
  let shown = "connected", kind = "good";
  if (!is) [shown, kind] = ["not connected", "bad"];
  else if (state?.leaving) [shown, kind] = ["the server stops", "bad"];
  else if (unmet.length) [shown, kind] = ["not ready: " + unmet.map((need) => need.name).join(", "), "bad"];
  if (health.textContent !== shown) health.replaceChildren(text(shown));
  health.className = "health " + kind;
}

function frame(f) {
  connected(true);
  if (view === "events") problem(f.why ? "The log can't be read: " + f.why : "");
  if (f.server && server !== f.server) { // another process: perhaps with another log
    if (server) [waiting, last, other] = [[], 0, true];
    server = f.server;
  }
  if (f.server) again = last > 0;
  if (again && f.rows.length) {
    missed ||= f.rows[0].position > last + 1;
    again = false;
  }
  arrivals.push([performance.now(), f.seen]);
  while (arrivals[0][0] < performance.now() - 5000) arrivals.shift();
  left += f.left;
  const fresh = f.rows.filter((row) => row.position > last); // a new stream begins with those that the one before had
  if (fresh.length) last = fresh[fresh.length - 1].position;
  waiting.push(...fresh);
  if (waiting.length > mostRows) {
    left += waiting.length - mostRows;
    waiting = waiting.slice(-mostRows);
  }
  // Where more arrives than anybody reads, drawing it more often would only cost time.
  const wait = f.left > 0 ? drawn + drawEvery - Date.now() : 0;
  if (!document.hidden && !drawing) drawing = setTimeout(draw, Math.max(0, wait));
}

const drawEvery = 700; // milliseconds
let drawn = 0, drawing = 0;

function draw() {
  clearTimeout(drawing);
  [drawn, drawing] = [Date.now(), 0];
  const span = arrivals.length > 1 ? Math.max(1000, arrivals[arrivals.length - 1][0] - arrivals[0][0]) : 1000;
  const seen = arrivals.slice(1).reduce((sum, [, n]) => sum + n, 0);
  const rate = (seen * 1000) / span;
  const quiet = !arrivals.length || performance.now() - arrivals[arrivals.length - 1][0] > 4000;
  by("rate").textContent = (quiet ? 0 : rate < 10 ? Math.round(rate * 10) / 10 : number(Math.round(rate))) + " a second";
  const parts = [];
  if (held() && waiting.length) parts.push(number(waiting.length) + " new ones wait" + (paused ? "." : " until you leave the list."));
  if (left) parts.push(number(left) + " were left out: more arrived than a page shows.");
  if (missed) parts.push("Those may be missing that came while this page was hidden or not connected.");
  by("left").textContent = parts.join(" ");
  if (held() || waiting.length === 0) return;
  const fresh = document.createDocumentFragment();
  for (const row of waiting.reverse()) fresh.append(line(row));
  if (other) rows.replaceChildren();
  [waiting, other] = [[], false];
  rows.prepend(fresh);
  while (rows.rows.length > mostRows) rows.lastElementChild.remove();
  by("events-empty").hidden = rows.rows.length > 0;
}

function line(row) {
  const link = element("button", { type: "button", class: "link", "aria-label": "Open event " + row.position }, String(row.position));
  link.addEventListener("click", () => openEvent(row.position, link));
  return element("tr", { role: "row" }, cell("Position", link), cell("Recorded", element("time", { datetime: row.recorded, title: row.recorded }, time(row.recorded))),
    cell("Type", text(row.type), "strong"), cell("Source", text(row.source)), cell("Subject", text(row.subject)), cell("Id", text(row.id), "mono"), cell("Bytes", number(row.bytes), "n"));
}

rows.addEventListener("focusout", () => requestAnimationFrame(draw));

by("pause").addEventListener("click", () => {
  paused = !paused;
  by("pause").setAttribute("aria-pressed", String(paused));
  by("pause").textContent = paused ? "Go on" : "Pause";
  draw();
});

// clear empties the list.
function clear() {
  rows.replaceChildren();
  [waiting, left, last, missed, other] = [[], 0, 0, false, false];
  by("left").textContent = "";
}

function filtered() {
  clear();
  by("events-empty").hidden = false;
  by("events-empty").textContent = [...new FormData(by("filter")).values()].some(Boolean) ? "Events that match appear here. Of those that are stored, the latest 500 are looked at." : "Events appear here as they arrive.";
  follow();
}
by("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  filtered();
});
by("filter").addEventListener("reset", () => setTimeout(filtered));

async function openEvent(position, from) {
  const dialog = by("event"), body = by("event-body"), mine = ++opened;
  dialog.addEventListener("close", () => { if (from.isConnected) from.focus(); }, { once: true });
  by("event-title").textContent = "Event " + position;
  body.replaceChildren(element("p", { class: "note" }, "…"));
  dialog.showModal();
  try {
    const event = await get("event?position=" + position);
    if (mine !== opened) return; // another one was opened meanwhile
    body.replaceChildren(fields([
      ["Position", String(event.position)], ["Id", event.id], ["Source", event.source], ["Type", event.type], ["Subject", event.subject],
      ["Time", moment(event.time)], ["Recorded", moment(event.recorded)], ["Schema", event.schema], ["Version", event.version || "not known"],
      ["Trace", event.traceparent], ["Size", bytes(event.bytes)],
    ]), element("h3", {}, "Message"), message(event));
  } catch (error) {
    if (mine === opened) body.replaceChildren(element("p", { class: "problem" }, text(error.message)));
  }
}
by("event-close").addEventListener("click", () => by("event").close());
by("event").addEventListener("click", (event) => { if (event.target === by("event")) by("event").close(); });

// Consumers.

async function showState() {
  const before = state;
  state = await get("state");
  if (before && before.server !== state.server) form.forget();
  by("program").replaceChildren(text(state.program));
  for (const link of document.querySelectorAll("nav a[data-view=rejected]")) link.parentElement.hidden = !state.rejected;
  connected(true);
}

async function showConsumers() {
  await showState();
  const log = state.log;
  if (log.why) throw new Error("The log can't say what it has: " + log.why);
  by("figures").replaceChildren(...[
    ["Events", number(log.events)], ["Positions", log.first + " to " + log.last], ["Size", bytes(log.bytes)],
    ["Free", log.free === undefined ? "not limited" : bytes(log.free)], ["Oldest", log.oldest ? moment(log.oldest).slice(0, 19) : "–"], ["Durability", log.durability],
  ].map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, text(value)))));
  by("others").textContent = log.others ? number(log.others) + " others are left out, which have no dead letters or fewer events to handle." : "";
  by("consumers").hidden = log.consumers.length === 0;
  by("consumers-empty").hidden = log.consumers.length > 0;
  const body = document.querySelector("#consumers tbody");
  if (body.contains(document.activeElement)) return; // else the focus would be lost
  body.replaceChildren(...log.consumers.map((one) => {
    const status = element("div", {}, one.holder ? element("span", {}, "runs in ", text(one.holder)) : element("span", { class: "bad" }, "no process runs it"));
    if (one.keeper) status.append(element("div", { class: "note" }, "its position is in ", text(one.keeper)));
    if (one.failing) {
      status.append(element("div", { class: "problem" }, "fails at position " + one.failing.position + " since " + moment(one.failing.since).slice(0, 19) + ", tried " + number(one.failing.tries) + " times: ", text(one.failing.reason)));
    }
    return element("tr", { role: "row" }, cell("Consumer", text(one.name), "strong"), cell("Position", number(one.position), "n"), cell("Lag", number(one.lag), one.lag ? "n strong" : "n"),
      cell("Late by", one.late === undefined ? "–" : duration(one.late)), cell("Dead letters", one.dead ? element("a", { href: deadOf(one.name) }, number(one.dead)) : "0", "n"), cell("State", status));
  }));
}

const deadOf = (consumer) => "#dead?" + new URLSearchParams({ consumer });

// showDead lists the dead letters of the consumer that the address names, or of all.
function showDead() {
  const chosen = query.get("consumer") || "";
  const names = new Set(["", chosen, ...state.log.consumers.filter((one) => one.dead > 0).map((one) => one.name)]);
  by("dead-consumer").replaceChildren(...[...names].map((name) => element("option", { value: name, selected: name === chosen }, name ? text(name) : "all")));
  return letters.dead.show(state.writes, chosen);
}
by("dead-consumer").addEventListener("change", () => {
  const chosen = by("dead-consumer").value;
  history.replaceState(null, "", chosen ? deadOf(chosen) : "#dead"); // the focus stays
  query = new URLSearchParams({ consumer: chosen });
  refresh();
});

async function showRejected() {
  if (state.rejected) return letters.rejected.show(state.writes, "rejected");
  by("rejected-note").textContent = "This server keeps no refused requests: --keep-rejected makes it do so.";
}
for (const name of ["dead", "rejected"]) by(name + "-again").addEventListener("click", refresh);

// Schemas.

async function showSchemas() {
  const { schemas, counted, done } = await get("schemas");
  by("schemas-note").textContent = done ? "" : "counted up to position " + number(counted) + ", and going on";
  const open = new Set([...document.querySelectorAll("#schemas-list details[open]")].map((one) => one.dataset.key));
  const focused = document.activeElement?.closest("#schemas-list details")?.dataset.key;
  by("schemas-list").replaceChildren(...schemas.map((one) => {
    const key = one.schema + " " + one.version;
    const range = one.first === one.last ? "position " + one.first : "positions " + one.first + " to " + one.last;
    return element("details", { class: "letter", "data-key": key, open: open.has(key) },
      element("summary", {}, element("span", { class: "letter-head" }, element("b", {}, text(one.schema)), element("span", { class: "note mono" }, text(one.version || "version not known"))),
        element("span", { class: "reason" }, (one.deleted ? "at most " : "") + number(one.events) + (one.events === 1 ? " event, " : " events, ") + range + (one.current ? "; this program writes it" : "") + (one.assumed ? "; of some it is assumed" : ""))),
      element("div", { class: "letter-body" }, one.fields.length ? element("ul", { class: "mono plain" }, ...one.fields.map((field) => element("li", {}, text(field)))) : element("p", { class: "note" }, "The log does not have this schema.")));
  }));
  if (schemas.length === 0) by("schemas-list").append(element("p", { class: "empty" }, "The log has no events."));
  if (focused) [...document.querySelectorAll("#schemas-list details")].find((one) => one.dataset.key === focused)?.querySelector("summary").focus();
  return done ? 0 : 450;
}

async function start() {
  try {
    await showState();
  } catch (error) {
    if (await failed(error)) return;
    setTimeout(start, 3000);
    return;
  }
  follow();
  await open(false);
}
setInterval(() => {
  if (state && !document.hidden && view !== "consumers") showState().catch(() => connected(false));
}, 5000);
setInterval(() => { if (!document.hidden && view === "events") draw(); }, 1000);
start();
