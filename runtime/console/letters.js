// Dead letters of consumers, and requests that the server refused: why, and once more.
import { element, fields, get, message, moment, number, post, text } from "./view.js";

// original shows what was to be handled.
function original(letter) {
  const { refused } = letter;
  if (!refused) {
    return [fields([["Id", letter.id], ["Source", letter.source], ["Type", letter.type], ["Subject", letter.subject], ["Time", moment(letter.time)],
      ["Recorded", moment(letter.recorded)], ["Schema", letter.schema], ["Version", letter.version], ["Trace", letter.traceparent]]), message(letter)];
  }
  return [fields([["RPC", refused.rpc], ["Code", refused.code], ["Message type", refused.type], ["Event id", refused.event_id], ["API key", refused.key], ["Address", refused.address], ["Recorded", moment(letter.recorded)]]),
    refused.base64 ? element("p", { class: "note" }, "The request could not be decoded, or has more than 64 KB. These are its bytes in base64.") : "",
    element("pre", { class: "data", tabindex: "0", role: "group", "aria-label": "Request" }, text(refused.request, true)),
    refused.cut ? element("p", { class: "note" }, "This is the beginning only.") : ""];
}

export class Letters {
  constructor(log, into, note, all) {
    Object.assign(this, { log, into, note, all, generation: 0 });
    all.addEventListener("click", () => this.retryAll());
  }

  // show lists the letters of a consumer from the first, "" for those of all.
  async show(writes, consumer) {
    Object.assign(this, { writes, consumer });
    const generation = ++this.generation;
    const answer = await this.page();
    if (generation !== this.generation) return;
    this.into.replaceChildren();
    this.count = 0;
    this.add(answer);
    this.all.hidden = !writes || !consumer || this.count === 0;
  }

  // page returns the letters after one, those of the first page by default.
  page(after = {}) {
    return get("dead?" + new URLSearchParams({ log: this.log, consumer: this.consumer, ...after }));
  }

  async retryAll() {
    const { consumer } = this;
    const done = await this.attempt(() => post("retry", JSON.stringify({ log: this.log, consumer, all: true })));
    if (!done || this.consumer !== consumer) return;
    await this.attempt(() => this.show(this.writes, consumer));
    this.note.textContent = number(done.retried) + (done.retried === 1 ? " is" : " are") + " tried again.";
  }

  // add appends a page of letters.
  add({ letters, more }) {
    for (const letter of letters) this.into.append(this.item(letter));
    this.count += letters.length;
    this.note.textContent = this.count === 0 ? (this.log === "rejected" ? "No request is kept." : "No consumer has given up on an event.") : number(this.count) + (more ? " shown, and there are more" : "");
    if (!more) return;
    const last = letters[letters.length - 1];
    const next = element("button", { type: "button", onclick: async () => {
      const answer = await this.attempt(() => this.page({ from: last.consumer, after: last.position }));
      if (!answer) return;
      const before = next.previousElementSibling;
      next.remove();
      this.add(answer);
      before?.nextElementSibling?.querySelector("summary")?.focus();
    } }, "Show more");
    this.into.append(next);
  }

  async attempt(action) {
    try {
      return await action();
    } catch (error) {
      this.note.replaceChildren(text(error.message));
      return null;
    }
  }

  item(letter) {
    const state = element("span", { class: "state" }, letter.retrying ? "waits to be tried again" : "");
    const retry = element("button", { type: "button", disabled: !this.writes || letter.retrying, onclick: async () => {
      if (retry.getAttribute("aria-disabled") === "true") return;
      const done = await this.attempt(() => post("retry", JSON.stringify({ log: this.log, consumer: letter.consumer, positions: [letter.position] })));
      if (!done) return;
      retry.setAttribute("aria-disabled", "true");
      state.textContent = done.retried ? "waits to be tried again" : "it is no longer there";
      this.note.textContent = done.retried ? "Event " + letter.position + " is tried again." : "Event " + letter.position + " is no longer a dead letter.";
    } }, this.log === "rejected" ? "Send again" : "Try again");
    const rejected = this.log === "rejected";
    return element("details", { class: "letter" },
      element("summary", {}, element("span", { class: "letter-head" },
        element("b", {}, rejected ? text(letter.source) : text(letter.type)), element("span", { class: "note" }, rejected ? "" : text(letter.consumer + ", "), "position " + letter.position)),
        element("span", { class: "reason" }, text(letter.reason))),
      element("div", { class: "letter-body" },
        element("div", { class: "actions" }, retry, state, this.writes ? "" : element("span", { class: "note" }, "This console changes nothing without --console write.")),
        fields([["Reason", letter.reason], ["Tries", number(letter.tries)], ["Gave up", moment(letter.gave_up)], ["Position", String(letter.position)]]),
        element("h3", {}, rejected ? "Request" : "Event"), ...original(letter)));
  }
}
