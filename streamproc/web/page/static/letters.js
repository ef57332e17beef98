import { h, scrolled, table } from "./dom.js";
import { amount, moment, size } from "./format.js";
import { getJson, postJson } from "./requests.js";

let root = null;
let places = [];
let place = null;
let found = null;
let type = "";

export async function openLetters(section) {
  root = section;
  root.replaceChildren(h("p", { class: "empty" }, "Reading …"));
  try {
    places = await getJson("api/letters");
  } catch (error) {
    root.replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
    return;
  }
  const choice = h("select", { id: "place", onchange: (event) => choose(event.target.value) },
    places.map((one) => h("option", { value: one.name }, `${one.name.replace(":", ": ")} (${amount(one.held)})`)));
  root.replaceChildren(
    h("div", { class: "heading" }, h("h2", {}, "Dead letters"),
      h("label", {}, "Of ", choice),
      h("button", { type: "button", class: "quiet", onclick: () => choose(place) }, "Read again"),
      h("label", {}, "Your name ", h("input", {
        id: "who", autocomplete: "name", maxlength: 100, value: localStorage.getItem("who") ?? "",
        onchange: (event) => localStorage.setItem("who", event.target.value.trim()),
      }))),
    h("div", { id: "letters-body" }),
  );
  const fullest = places.reduce((most, one) => (one.held > most.held ? one : most));
  choice.value = fullest.name;
  await choose(fullest.name);
}

const body = () => document.getElementById("letters-body");

async function choose(name) {
  place = name;
  type = "";
  body().replaceChildren(h("p", { class: "empty" }, "Reading …"));
  try {
    found = await getJson(`api/letters?place=${encodeURIComponent(name)}`);
    draw();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  body().replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
}

function draw() {
  if (!found.letters.length) {
    body().replaceChildren(h("p", { class: "empty" }, `${found.topic} has no dead letters.`));
    return;
  }
  const shown = found.letters.filter((letter) => !type || letter.type === type);
  const chip = (name, label, count) =>
    h("button", {
      type: "button", class: "chip", "aria-pressed": String(type === name),
      onclick: () => { type = name; draw(); },
    }, `${label} ${amount(count)}`);
  const types = Object.entries(found.types);
  const whole = found.held <= found.letters.length;
  body().replaceChildren(
    h("div", { class: "chips" },
      chip("", "all", found.letters.length), types.map(([name, count]) => chip(name, name || "none", count)),
      h("span", { class: "grow" }),
      h("button", { type: "button", onclick: () => preview(type ? { types: [type] } : { all: true }) },
        type ? `Redrive all ${type} …` : "Redrive all …")),
    h("p", { class: "calm" }, whole ? `${found.topic}` : `${found.topic}: the newest ${amount(found.letters.length)} of ${amount(found.held)}`),
    h("div", { id: "asking" }),
    h("div", { class: "scroll" }, table(
      ["Offset", "Request", "Type", "Reason", "When", "Size"],
      shown.map((letter) => ({
        cells: [
          h("button", { type: "button", class: "link", onclick: () => open(letter.offset) }, letter.offset),
          letter.id, h("span", { class: "tag bad" }, letter.type || "none"),
          `${letter.title}: ${letter.detail}`, moment(letter.at_ms), size(letter.size_bytes),
        ],
      })), { caption: "Dead letters", numbers: [5] })),
    h("div", { id: "letter" }),
  );
}

async function open(offset) {
  const target = document.getElementById("letter");
  try {
    const letter = await getJson(`api/letter?place=${encodeURIComponent(place)}&offset=${encodeURIComponent(offset)}`);
    target.replaceChildren(opened(letter));
  } catch (error) {
    target.replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
  }
  target.querySelector("h3")?.focus();
}

function opened(letter) {
  const facts = [
    ["Reason", `${letter.title}: ${letter.detail}`], ["Came by", letter.request_topic],
    ["Key", letter.key ?? "none"], ["When", moment(letter.at_ms)], ["Size", size(letter.size_bytes)],
  ];
  return h("article", { class: "card" },
    h("div", { class: "heading" },
      h("h3", { tabindex: -1 }, `Dead letter ${letter.offset}`), h("span", { class: "grow" }),
      letter.has_original
        ? h("button", { type: "button", onclick: () => preview({ offsets: [letter.offset] }) }, "Redrive this one …")
        : h("span", { class: "calm" }, "holds no original to redrive"),
      h("button", { type: "button", class: "quiet", onclick: () => document.getElementById("letter").replaceChildren() }, "Close")),
    h("dl", { class: "facts" }, facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("h4", {}, "Headers"),
    h("dl", { class: "facts mono" }, letter.headers.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text ?? "null")])),
    h("h4", {}, "Value"),
    scrolled("pre", "Value", letter.value ?? "none (a tombstone)"),
    letter.is_whole ? null : h("p", { class: "calm" }, `Only the beginning; \`streamproc dlq show ${letter.offset}\` prints all of it.`),
    letter.hex === null ? null : [h("h4", {}, "First bytes"), scrolled("pre", "First bytes", letter.hex)],
  );
}

async function preview(selection) {
  const target = document.getElementById("asking");
  const field = document.getElementById("who");
  const who = field.value.trim();
  if (!who) {
    target.replaceChildren(h("p", { class: "note", role: "alert" }, "Say who you are first: the originals will carry your name."));
    field.focus();
    return;
  }
  try {
    const asked = { place, by: who, ...selection };
    const found = await postJson("api/letters/redrive", { ...asked, preview: true });
    const close = () => target.replaceChildren();
    const where = Object.entries(found.topics).map(([topic, count]) => `${amount(count)} to ${topic}`).join(", ");
    const go = h("button", { type: "button", class: "danger", onclick: () => redrive(asked, target) }, `Redrive ${amount(found.count)}`);
    target.replaceChildren(h("div", { class: "card ask", role: "group", "aria-label": "Preview" },
      h("p", {}, found.count
        ? `${originals(found.count)} would be sent again: ${where}. A header will say that ${who} did so. Each is answered under its own id.`
        : "There is nothing to redrive among them."),
      h("div", { class: "chips" }, found.count ? go : null,
        h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"))));
    (found.count ? go : target.querySelector("button")).focus();
  } catch (error) {
    target.replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
  }
}

function originals(count) {
  return count === 1 ? "1 original" : `${amount(count)} originals`;
}

async function redrive(asked, target) {
  target.replaceChildren(h("p", { class: "empty", role: "status" }, "Sending …"));
  try {
    const done = await postJson("api/letters/redrive", { ...asked, preview: false });
    target.replaceChildren(h("p", { class: "note calm", role: "status" },
      `${originals(done.count)} sent again by ${done.by}. What fails again comes back as a new letter.`));
  } catch (error) {
    target.replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
  }
}
