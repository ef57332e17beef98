import { h, scrolled, table } from "./dom.js";
import { amount, duration, percent } from "./format.js";

// What an answer looks like, by task: combined first, then each member's own.
export function answerOf(task, body, { response, chunks, sentences }, took) {
  if (response.status === "error") {
    const { type, title, detail } = response.error;
    return [h("p", { class: "note", role: "alert" }, `${type}: ${title}: ${detail}`)];
  }
  const text = body.text ?? body.context;
  const parts = [
    h("article", { class: "card" },
      h("h3", {}, "Combined"), shown(task, text, response.result), facts(response, took)),
    members(task, text, response.members),
  ];
  if (sentences?.length) parts.push(bySentence(sentences));
  if (chunks.length > 1 || (chunks.length && text.length)) parts.push(drawnChunks(text, chunks));
  for (const warning of response.warnings ?? []) parts.unshift(h("p", { class: "note calm" }, warning));
  return parts.filter((part) => part !== null);
}

function shown(task, text, result) {
  switch (task) {
    case "text-classification": return labels(result);
    case "token-classification": return entities(text, result.entities);
    case "question-answering": return spanOf(text, result);
    case "translation": return h("p", { class: "said" }, result.translation_text);
    case "summarization": return h("p", { class: "said" }, result.summary_text);
    default: return generated(text, result);
  }
}

function labels(result) {
  if (result.value !== undefined) {
    return h("p", { class: "said" }, `${amount(result.value)} ± ${amount(result.spread ?? 0)}`);
  }
  return bars(Object.entries(result.scores), new Set(result.labels ?? [result.label]));
}

function bars(scores, strong) {
  return h("ul", { class: "bars" }, scores.map(([name, score]) => {
    const bar = h("meter", { min: 0, max: 1, value: score, "aria-label": name });
    return h("li", { class: strong.has(name) ? "strong" : null }, h("span", {}, name), bar, h("span", {}, percent(score)));
  }));
}

function entities(text, found) {
  const parts = [];
  let at = 0;
  for (const { start, end, entity_group: group, score } of found) {
    if (start < at) continue;
    parts.push(sliced(text, at, start), h("mark", { title: percent(score) }, sliced(text, start, end), h("sup", {}, group)));
    at = end;
  }
  parts.push(sliced(text, at));
  return h("p", { class: "said" }, parts);
}

function spanOf(text, { answer, score, start, end }) {
  if (!answer) return h("p", { class: "said" }, `No answer (${percent(score)})`);
  return h("p", { class: "said" }, sliced(text, 0, start),
    h("mark", {}, sliced(text, start, end), h("sup", {}, percent(score))), sliced(text, end));
}

function generated(text, { generated_text: written, next_tokens: next }) {
  return h("div", {},
    h("p", { class: "said" }, h("span", { class: "calm" }, text), written.startsWith(text) ? written.slice(text.length) : written),
    next ? [h("h4", {}, "Likeliest next tokens"),
      bars(next.map(({ token, probability }) => [visible(token), probability]), new Set())] : null);
}

// A space belongs to its token, and is seen.
function visible(token) {
  return JSON.stringify(token).slice(1, -1).replaceAll(" ", "␣");
}

// Offsets count characters as Python does; JavaScript's count some twice.
function sliced(text, start, end) {
  return Array.from(text).slice(start, end).join("");
}

function facts(response, took) {
  const { agreement, entropy, coverage, timing } = response;
  const said = [`answered in ${duration(took)}`, `${response.ensemble}`];
  if (timing) said.push(`${duration(timing.queue_ms)} waiting, ${duration(timing.inference_ms)} in models`);
  if (agreement !== null && agreement !== undefined) said.push(`agreement ${percent(agreement)}`);
  if (entropy !== null && entropy !== undefined) said.push(`entropy ${entropy.toFixed(3)} nats`);
  if (coverage) said.push(`${amount(coverage.chunks)} ${coverage.chunks === 1 ? "chunk" : "chunks"}, ${amount(coverage.characters_covered)} of ${amount(coverage.characters)} characters`);
  return h("p", { class: "calm" }, said.join(" · "));
}

function members(task, text, found) {
  if (!found.length) return null;
  return h("div", { class: "cards" }, found.map((member) => h("article", { class: "card" },
    h("h3", {}, member.name, " ", h("span", { class: "tag" }, `version ${member.version}`),
      member.status === "ok" ? null : h("span", { class: "tag bad" }, member.status)),
    member.result ? shown(task, text, member.result)
      : h("p", { class: "calm" }, "Its own answer was not asked for (params.return_members)."))));
}

function bySentence(sentences) {
  return h("article", { class: "card" }, h("h3", {}, "Sentence by sentence"),
    table(["Sentence", "Translation"], sentences.map(({ text, result }) => ({
      cells: [text, result?.translation_text ?? "none"] })), { caption: "Sentences" }));
}

function drawnChunks(text, chunks) {
  const characters = Array.from(text);
  const parts = [];
  let at = 0;
  chunks.forEach(([start, end], place) => {
    if (start > at) parts.push(characters.slice(at, start).join(""));
    parts.push(h("span", { class: place % 2 ? "chunk odd" : "chunk", title: `chunk ${place + 1}: ${start}–${end}` },
      characters.slice(Math.max(start, at), end).join("")));
    at = Math.max(at, end);
  });
  if (at < characters.length) parts.push(characters.slice(at).join(""));
  return h("article", { class: "card" }, h("h3", {}, `Cut into ${chunks.length} ${chunks.length === 1 ? "chunk" : "chunks"}`),
    scrolled("p", "The text with its chunks", parts, { class: "said chunks" }));
}
