// The form that sends an event: made from the proto, with samples.
import { element, get, post, text } from "./view.js";

let forms = [];
let serial = 0;

// input makes the input of a field, and returns what takes its value, as a text of JSON:
// undefined for none. No value becomes one of JavaScript, whose numbers have 53 bits.
function input(field) {
  const id = "field-" + ++serial;
  const label = element("label", { for: id }, field.name, element("span", { class: "kind" }, field.kind));
  const hint = field.special || (field.oneof ? "one of " + field.oneof : "");
  const note = hint ? element("p", { class: "hint", id: id + "-hint" }, hint) : null;
  const common = { id, name: field.name, "aria-describedby": note ? id + "-hint" : null };
  const sample = field.sample === undefined ? "" : String(field.sample);
  switch (field.input) {
    case "message": {
      const inner = field.fields.map(input);
      const group = element("fieldset", {}, element("legend", {}, field.name, element("span", { class: "kind" }, field.kind)), ...inner.map((one) => one.shown));
      return { name: field.name, shown: group, fill: (on) => inner.forEach((one) => one.fill(on)), value: () => gather(inner) };
    }
    case "bool": {
      const box = element("input", { ...common, type: "checkbox" });
      return { name: field.name, shown: element("div", { class: "field check" }, box, label, note), fill: () => { box.checked = false; }, value: () => (box.checked ? "true" : undefined) };
    }
    case "enum": {
      const choice = element("select", common, element("option", { value: "" }, "–"), ...field.values.map((value) => element("option", { value }, value)));
      return { name: field.name, shown: element("div", { class: "field" }, label, choice, note), fill: (on) => { choice.value = on ? sample : ""; }, value: () => (choice.value ? JSON.stringify(choice.value) : undefined) };
    }
    case "json": {
      const area = element("textarea", { ...common, rows: Math.min(10, Math.max(3, sample.split("\n").length)), spellcheck: "false", placeholder: "JSON" });
      return { name: field.name, shown: element("div", { class: "field" }, label, area, note), fill: (on) => { area.value = on ? sample : ""; }, value: () => {
        if (area.value.trim() === "") return undefined;
        try {
          JSON.parse(area.value);
          return area.value;
        } catch (error) {
          area.focus();
          throw new Error(field.name + " is not JSON: " + error.message);
        }
      } };
    }
    default: {
      const line = element("input", { ...common, type: "text", inputmode: field.input === "number" ? "decimal" : null, autocomplete: "off", spellcheck: "false" });
      // Protobuf takes texts for all numbers.
      return { name: field.name, shown: element("div", { class: "field" }, label, line, note), fill: (on) => { line.value = on ? sample : ""; }, value: () => (line.value === "" ? undefined : JSON.stringify(line.value)) };
    }
  }
}

// gather returns the values of inputs as an object; undefined if there are none.
function gather(inputs) {
  const all = [];
  for (const one of inputs) {
    const value = one.value();
    if (value !== undefined) all.push(JSON.stringify(one.name) + ":" + value);
  }
  return all.length ? "{" + all.join(",") + "}" : undefined;
}

function build(form, into, result, writes) {
  const inputs = form.fields.map(input);
  inputs.forEach((one) => one.fill(true));
  const submit = element("button", { type: "submit", disabled: !writes }, "Send");
  const request = element("form", { class: "request", novalidate: true },
    ...inputs.map((one) => one.shown),
    element("div", { class: "actions" }, submit,
      element("button", { type: "button", class: "quiet", onclick: () => inputs.forEach((one) => one.fill(true)) }, "Fill in samples"),
      element("button", { type: "button", class: "quiet", onclick: () => inputs.forEach((one) => one.fill(false)) }, "Clear")));
  request.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!writes || submit.getAttribute("aria-disabled") === "true") return;
    submit.setAttribute("aria-disabled", "true"); // it keeps the focus
    result.replaceChildren();
    try {
      const answer = await post("send", `{"method":${JSON.stringify(form.method)},"request":${gather(inputs) || "{}"}}`);
      result.replaceChildren(element("p", { class: "good" }, "Answered in " + answer.took + " ms."), element("pre", { class: "data", tabindex: "0", role: "group", "aria-label": "Reply" }, text(answer.reply, true)));
    } catch (error) {
      result.replaceChildren(element("p", { class: "problem" }, text(error.message)));
    } finally {
      submit.removeAttribute("aria-disabled");
    }
  });
  into.replaceChildren(request);
}

// forget has the forms made again: those of another process may have other RPCs.
export function forget() {
  forms = [];
}

// show makes the form, once for a process of the server.
export async function show(writes) {
  const into = document.getElementById("send-form"), result = document.getElementById("send-result");
  if (forms.length) return;
  forms = (await get("forms")).forms;
  if (forms.length === 0) {
    into.replaceChildren(element("p", { class: "empty" }, "No RPC of this server takes events."));
    return;
  }
  const place = element("div");
  const choice = element("select", { id: "rpc" }, ...forms.map((form, i) => element("option", { value: i }, form.method.slice(1))));
  choice.addEventListener("change", () => {
    result.replaceChildren();
    build(forms[choice.value], place, result, writes);
  });
  into.replaceChildren(
    writes ? "" : element("p", { class: "note" }, "This console changes nothing without --console write, so the form can't be sent."),
    element("div", { class: "field" }, element("label", { for: "rpc" }, "RPC"), choice), place);
  build(forms[0], place, result, writes);
}
