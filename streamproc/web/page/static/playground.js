import { h } from "./dom.js";
import { answerOf } from "./answers.js";
import { getJson, postJson } from "./requests.js";
import { waysToAsk } from "./ways.js";

const SAMPLES = {
  "text-classification": { text: "The picture is sharp and the sound is fine, but it broke after two weeks." },
  "token-classification": { text: "Ada Lovelace met Charles Babbage in London in 1833; Apple and the BBC were far away." },
  "question-answering": { question: "Who wrote it?", context: "The first program was published in 1843. It was written by Ada Lovelace for a machine that was never built." },
  translation: { text: "The weather is good today. We are going to the sea." },
  summarization: { text: "" },
  "text-generation": { text: "Once upon a time there was" },
};
const FIELDS = { "question-answering": ["question", "context"] };
const PARAMS = {
  "text-generation": { return_members: true, max_new_tokens: 24, next_tokens: 8 },
};

let tasks = [];

export async function openPlayground(root) {
  root.replaceChildren(h("p", { class: "empty" }, "Reading …"));
  try {
    tasks = await getJson("api/tasks");
  } catch (error) {
    root.replaceChildren(h("p", { class: "note", role: "alert" }, error.message));
    return;
  }
  const select = h("select", { id: "task", onchange: () => drawForm() },
    tasks.map(({ task }) => h("option", { value: task }, task)));
  const form = h("form", { id: "ask", class: "card", onsubmit: ask });
  root.replaceChildren(
    h("div", { class: "heading" }, h("h2", {}, "Playground"), h("label", {}, "Task ", select)),
    form, h("div", { id: "answer", "aria-live": "polite" }),
  );
  select.value = tasks.some(({ task }) => task === "text-classification") ? "text-classification" : tasks[0].task;
  drawForm();
}

const chosen = () => tasks.find(({ task }) => task === document.getElementById("task").value);

function drawForm() {
  const { task, ensemble } = chosen();
  const fields = FIELDS[task] ?? ["text"];
  const form = document.getElementById("ask");
  form.replaceChildren(
    ...fields.map((name) => h("label", { class: "field" }, name,
      name === "question"
        ? h("input", { name, value: SAMPLES[task]?.[name] ?? "", autocomplete: "off" })
        : h("textarea", { name, rows: 5, value: SAMPLES[task]?.[name] ?? "" }))),
    h("div", { class: "row" },
      h("label", { class: "field" }, "ensemble", h("input", { name: "ensemble", placeholder: ensemble, autocomplete: "off" })),
      h("label", { class: "field" }, "params", h("input", {
        name: "params", class: "mono", spellcheck: "false", autocomplete: "off",
        value: JSON.stringify(PARAMS[task] ?? { return_members: true }),
      })),
      h("button", { type: "submit" }, "Ask")),
  );
  document.getElementById("answer").replaceChildren();
}

async function ask(event) {
  event.preventDefault();
  const form = event.target;
  const answer = document.getElementById("answer");
  const { task } = chosen();
  let body;
  try {
    body = bodyOf(form, task);
  } catch (error) {
    answer.replaceChildren(h("p", { class: "note", role: "alert" }, `params: ${error.message}`));
    return;
  }
  answer.replaceChildren(h("p", { class: "empty" }, "Asking …"));
  const began = performance.now();
  try {
    const found = await postJson("api/ask", { task, ...body });
    const took = Math.round(performance.now() - began);
    answer.replaceChildren(...answerOf(task, body, found, took), waysToAsk(chosen(), body));
  } catch (error) {
    answer.replaceChildren(h("p", { class: "note", role: "alert" }, error.message), waysToAsk(chosen(), body));
  }
}

function bodyOf(form, task) {
  const body = {};
  for (const name of FIELDS[task] ?? ["text"]) body[name] = form.elements[name].value;
  const ensemble = form.elements.ensemble.value.trim();
  if (ensemble) body.ensemble = ensemble;
  const params = form.elements.params.value.trim();
  if (params) body.params = JSON.parse(params);
  return body;
}
