// The charts of the last hour: lines of SVG, drawn from the points that the server keeps.
import { element, get, microseconds, number } from "./view.js";

const height = 150, left = 62, right = 8, top = 10, bottom = 20;
let width = 600; // in pixels, as the page has room
const spans = [5, 15, 30, 60]; // minutes that the charts may show
let span = 60 * 60_000;

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

let step = 5;
const rate = (value) => number(value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);

// all are the charts: each series has a name, what it takes of a point, and its class.
const all = [
  { title: "Events a second", unit: rate, series: [
    ["stored", (p) => p.stored / step], ["duplicates", (p) => p.duplicates / step], ["refused", (p) => p.refused / step]] },
  { title: "Calls a second", unit: rate, series: [
    ["calls", (p) => p.calls / step], ["caller's errors", (p) => p.wrong / step], ["server's errors", (p) => p.failed / step]] },
  { title: "How long calls take", unit: microseconds, series: [
    ["half", (p) => p.half], ["99 of 100", (p) => p.most]] },
  { title: "How long appends take", unit: microseconds, series: [
    ["half", (p) => p.append_half], ["99 of 100", (p) => p.append_most]] },
];

let points = [];
let drawn = [];

// build makes the elements of the charts, once.
function build(into) {
  drawn = all.map((chart) => {
    const picture = svg("svg", { role: "img", class: "chart" });
    const readings = chart.series.map(([name], i) => {
      const value = element("b", {}, "–");
      return { name, value, item: element("li", { class: "series-" + i }, element("span", { class: "key", "aria-hidden": "true" }), name + " ", value) };
    });
    const when = element("span", { class: "when" }, "now");
    const figure = element("figure", {}, element("figcaption", {}, element("h3", {}, chart.title), when, element("ul", { class: "legend" }, ...readings.map((r) => r.item))), picture);
    const view = { chart, picture, readings, when, at: -1 };
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * width;
      view.at = (x - left) / (width - left - right);
      read(view);
    });
    picture.addEventListener("pointerleave", () => {
      view.at = -1;
      read(view);
    });
    return { ...view, figure, view };
  });
  into.replaceChildren(...drawn.map((one) => one.figure));
}

// niceTop returns a round number that is not below a value.
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= value);
}

function draw({ chart, picture, view }, now) {
  width = Math.max(280, picture.clientWidth);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const values = chart.series.map(([, of]) => points.map(of));
  const most = niceTop(Math.max(0, ...values.flat()));
  const x = (time) => left + (1 - (now - time) / span) * (width - left - right);
  const y = (value) => height - bottom - (value / most) * (height - top - bottom);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const at = y(share * most);
    parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
    const label = svg("text", { class: "axis", x: left - 6, y: at + 4, "text-anchor": "end" });
    label.textContent = chart.unit === microseconds ? microseconds(Math.round(share * most)) : number(share * most);
    parts.push(label);
  }
  for (const share of width < 450 ? [1, 0.5, 0] : span === 60 * 60_000 ? [1, 0.75, 0.5, 0.25, 0] : [1, 0.8, 0.6, 0.4, 0.2, 0]) {
    const minutes = Math.round((share * span) / 6000) / 10;
    const label = svg("text", { class: "axis", x: x(now - share * span), y: height - 4, "text-anchor": share === 1 ? "start" : share === 0 ? "end" : "middle" });
    label.textContent = minutes === 0 ? "now" : "−" + minutes + " min";
    parts.push(label);
  }
  values.forEach((series, i) => {
    let path = "", before = 0;
    series.forEach((value, k) => {
      const time = points[k].time;
      if (value < 0) {
        before = 0;
        return;
      }
      path += (before && time - before < 3 * step * 1000 ? "L" : "M") + x(time).toFixed(1) + " " + y(value).toFixed(1);
      if (!before) path += "h1.5"; // a point without neighbours is seen, too
      before = time;
    });
    if (path) parts.push(svg("path", { class: "line series-" + i, d: path }));
  });
  view.mark = svg("line", { class: "mark", y1: top, y2: height - bottom, x1: -9, x2: -9 });
  parts.push(view.mark);
  picture.replaceChildren(...parts);
  view.now = now;
  read(view);
  picture.setAttribute("aria-label", chart.title + " over the last " + span / 60_000 + " minutes. Latest: " + view.readings.map((r) => r.name + " " + r.value.textContent).join(", "));
}

// read shows the values where the pointer is, or the latest.
function read(view) {
  if (points.length === 0) return;
  let point = points[points.length - 1];
  if (view.at >= 0 && view.now) {
    const wanted = view.now - (1 - view.at) * span;
    point = points.reduce((best, one) => (Math.abs(one.time - wanted) < Math.abs(best.time - wanted) ? one : best));
    const x = left + (1 - (view.now - point.time) / span) * (width - left - right);
    view.mark.setAttribute("x1", x);
    view.mark.setAttribute("x2", x);
  } else if (view.mark) {
    view.mark.setAttribute("x1", -9);
    view.mark.setAttribute("x2", -9);
  }
  view.when.textContent = view.at >= 0 ? new Date(point.time).toLocaleTimeString("en-GB") : "latest";
  view.chart.series.forEach(([, of], i) => { view.readings[i].value.textContent = view.chart.unit(of(point)); });
}

// minutes shows the same in a table, for those who do not see pictures.
function minutes(into) {
  const rows = new Map();
  for (const p of points) {
    const minute = Math.floor(p.time / 60_000);
    const row = rows.get(minute) || { stored: 0, refused: 0, calls: 0, failed: 0, most: -1 };
    for (const name of ["stored", "refused", "calls", "failed"]) row[name] += p[name];
    row.most = Math.max(row.most, p.most);
    rows.set(minute, row);
  }
  const head = ["Minute", "Stored", "Refused", "Calls", "Server's errors", "Slowest 1 %"];
  const table = element("table", { class: "list small" }, element("thead", {}, element("tr", {}, ...head.map((h, i) => element("th", { scope: "col", class: i ? "n" : "" }, h)))));
  const body = element("tbody");
  for (const [minute, row] of [...rows].reverse()) {
    body.append(element("tr", {}, ...[new Date(minute * 60_000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
      number(row.stored), number(row.refused), number(row.calls), number(row.failed), microseconds(row.most)]
      .map((value, i) => element("td", { class: i ? "n" : "", "data-label": head[i] }, value))));
  }
  table.append(body);
  into.replaceChildren(table);
}

// show asks for the points after those that are there, and draws.
export async function show() {
  const into = document.getElementById("charts");
  if (drawn.length === 0) build(into);
  const after = points.length ? points[points.length - 1].time : 0;
  const answer = await get("charts?after=" + after);
  step = answer.step;
  points = points.concat(answer.points).slice(-720);
  document.getElementById("span").textContent = points.length ? "one point for " + step + " seconds, of this process" : "the first point comes within " + step + " seconds";
  const now = points.length ? points[points.length - 1].time : Date.now();
  const age = points.length ? (now - points[0].time) / 60_000 : 0;
  span = (spans.find((minutes) => minutes >= age) || 60) * 60_000;
  for (const one of drawn) draw(one, now);
  if (document.querySelector("#view-charts details").open) minutes(document.getElementById("minutes"));
}
