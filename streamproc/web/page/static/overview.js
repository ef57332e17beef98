import { h, table } from "./dom.js";
import { amount, duration, moment, percent, size } from "./format.js";
import { sparkline } from "./sparkline.js";

const at = (id) => document.getElementById(id);
let picture = null;

export function showPicture(found) {
  picture = found;
  at("group").textContent = `group ${found.group}`;
  draw();
}

export function startOverview() {
  at("filter").addEventListener("input", draw);
  at("idle").addEventListener("change", draw);
}

function draw() {
  if (picture === null) return;
  at("notes").replaceChildren(...notes(picture));
  at("strip").replaceChildren(...strip(picture.strip));
  at("sources").replaceChildren(sources(picture));
  at("ensembles").replaceChildren(ensembles(picture.ensembles));
  at("disagreements").replaceChildren(disagreements(picture.disagreements));
  at("workers").replaceChildren(workers(picture.workers));
}

function notes({ notes: found, other_groups: others }) {
  const shown = found.map((text) => h("p", { class: "note" }, text));
  if (others.length) {
    shown.push(h("p", { class: "note calm" }, `Other groups have workers here: ${others.join(", ")}. --group-id chooses.`));
  }
  return shown;
}

function strip(figures) {
  const never = figures.clear_s === null;
  const of = [
    ["workers ready", `${figures.ready} of ${figures.workers}`, figures.ready < Math.max(1, figures.workers)],
    ["requests a second", amount(figures.per_s), false],
    [`oldest of ${amount(figures.waiting)} waiting`, duration(figures.oldest_ms), false],
    ["to clear the backlog", never ? "never" : duration(figures.clear_s * 1000), never],
    ["errors", percent(figures.error_share), figures.error_share > 0],
  ];
  return of.map(([name, value, bad]) =>
    h("div", { class: bad ? "bad" : null }, h("dt", {}, name), h("dd", {}, value)));
}

function sources({ sources: rows, rates }) {
  const wanted = at("filter").value.trim().toLowerCase();
  const idle = at("idle").checked;
  const shown = rows.filter((row) =>
    nameOf(row).toLowerCase().includes(wanted) && (idle || row.workers || row.waiting));
  if (!shown.length) {
    return h("p", { class: "empty" }, wanted ? "Nothing has such a name." : "No worker serves anything.");
  }
  const cells = (row) => [
    h("span", {}, nameOf(row), " ", tag(row)),
    sparkline(rates[`${row.name}/${row.lane}`] ?? []),
    amount(row.per_s),
    duration(row.p50_ms),
    duration(row.p99_ms),
    amount(row.waiting),
    duration(row.oldest_ms),
    row.clear_s === null ? h("strong", { class: "bad" }, "never") : row.waiting ? duration(row.clear_s * 1000) : "–",
    errors(row),
  ];
  return table(
    ["Topic", "15 minutes", "a second", "p50", "p99", "Waiting", "Lag", "To clear", "Errors"],
    shown.map((row) => ({ cells: cells(row), kind: row.workers ? null : "unserved" })),
    { caption: "Topics and routes", numbers: [2, 3, 4, 5, 6, 7] },
  );
}

function nameOf(row) {
  return row.name;
}

function tag(row) {
  if (!row.exists) return h("span", { class: "tag bad" }, "no topic");
  if (row.route !== null) return h("span", { class: "tag" }, "route");
  return row.lane === "bulk" ? h("span", { class: "tag" }, "bulk") : "";
}

function errors(row) {
  const found = Object.entries(row.errors).filter(([, count]) => count);
  if (!found.length && !row.cancelled) return "0";
  const cancelled = row.cancelled
    ? h("span", { class: "tag", title: "taken back by who asked, which is no error" }, `${amount(row.cancelled)} cancelled`)
    : "";
  const failed = found.map(([type, count]) => `${amount(count)} ${type}`).join(", ");
  return h("span", {}, h("span", { class: row.errors_per_s ? "bad" : null }, failed || "0"), cancelled ? " " : "", cancelled);
}

function ensembles(rows) {
  if (!rows.length) return h("p", { class: "empty" }, "No ensemble is served.");
  const shown = rows.flatMap((row) => [
    {
      kind: "parent",
      cells: [
        h("span", {}, row.name, " ", h("span", { class: "tag" }, row.task),
          row.manifests.length > 1 ? h("span", { class: "tag bad" }, "workers differ") : ""),
        row.versions.join(" / "), "", "", "", h("span", {}, `${amount(row.tokens_per_s)} tokens/s`), percent(row.batch_fill),
        row.padding === null ? "–" : `× ${row.padding.toFixed(2)}`,
      ],
    },
    ...row.members.map((member) => ({
      kind: "child",
      cells: [
        member.name,
        member.versions.length > 1 ? h("strong", { class: "bad" }, member.versions.join(" / ")) : member.versions[0],
        counted(member.late), counted(member.failed), percent(member.agreement),
        member.ms_per_1000_tokens === null ? "–" : `${amount(member.ms_per_1000_tokens)} ms`, "", "",
      ],
    })),
  ]);
  return table(
    ["Ensemble, member", "Version", "Late", "Failed", "Agrees", "Per 1,000 tokens", "Batch fill", "Padding"],
    shown, { caption: "Ensembles and their members", numbers: [1, 2, 3, 4, 5, 6, 7] },
  );
}

// What members chose, and never what they chose it of: ids and positions lead to that.
function disagreements(rows) {
  if (!rows.length) {
    return h("p", { class: "empty" }, "Members have agreed on every label and every answer since the workers began.");
  }
  const chosen = (row) => h("dl", { class: "chosen" }, Object.entries(row.members).map(([name, choice]) =>
    h("div", { class: choice === row.together ? null : "apart" }, h("dt", {}, name), h("dd", {}, choice))));
  const shown = rows.map((row) => ({
    cells: [
      h("span", {}, row.request_id, row.position === row.request_id ? null : h("span", { class: "calm place" }, row.position)),
      word(row.ensemble), moment(row.at_ms), word(row.together), chosen(row), percent(row.agreement),
    ],
  }));
  return table(["Request", "Ensemble", "When", "Answered", "Members", "Agree"], shown,
    { caption: "The last requests that members did not agree on", numbers: [5] });
}

function word(text) {
  return h("span", { class: "word" }, text);
}

function counted(count) {
  return count ? h("strong", { class: "bad" }, amount(count)) : "0";
}

function workers(rows) {
  if (!rows.length) return h("p", { class: "empty" }, "No worker has said anything. `streamproc worker` starts one.");
  const shown = rows.map((row) => {
    const machine = row.machine;
    const memory = machine.device_total_bytes === null ? "–"
      : `${size(machine.device_used_bytes)} of ${size(machine.device_total_bytes)}`;
    const flying = Object.values(row.in_flight_bytes).reduce((sum, bytes) => sum + bytes, 0);
    return {
      kind: row.stale ? "unserved" : null,
      cells: [
        h("span", {}, row.worker, row.ready ? null : h("small", {}, row.stale ? "" : row.reasons.join("; "))),
        state(row), row.version, duration(row.up_s * 1000),
        machine.cpu === null ? "–" : machine.cpu.toFixed(2),
        size(machine.resident_bytes), machine.device, memory, size(flying),
      ],
    };
  });
  return table(
    ["Worker", "State", "Version", "Up", "Cores", "Memory", "Device", "Device memory", "In flight"],
    shown, { caption: "Machines", numbers: [3, 4, 5, 7, 8] },
  );
}

function state(row) {
  if (row.stale) return h("span", { class: "bad" }, `silent for ${duration(row.silent_s * 1000)}`);
  return row.ready ? h("span", { class: "good" }, "ready") : h("span", { class: "bad" }, "not ready");
}
