import { askForKey, forgetKey, keyHeaders } from "./key.js";

export async function getJson(address) {
  return json(await asked(address, { headers: { Accept: "application/json" } }));
}

export async function postJson(address, body) {
  return json(await asked(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

// The data of server-sent events, one after the other, until the server ends them.
export async function* events(address) {
  const response = await asked(address, { headers: { Accept: "text/event-stream" } });
  if (!response.ok) throw new Error(reasonOf(await response.text(), response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield block.replace(/^data: /, "");
  }
}

// A request with the key, which is asked for where the server wants one that it knows.
async function asked(address, { headers, ...options }) {
  for (;;) {
    const sent = keyHeaders();
    const response = await fetch(address, { ...options, headers: { ...headers, ...sent } });
    if (response.status !== 401) return response;
    forgetKey(sent);
    await askForKey(reasonOf(await response.text(), response));
  }
}

async function json(response) {
  const text = await response.text();
  if (!response.ok) throw new Error(reasonOf(text, response));
  return JSON.parse(text);
}

function reasonOf(text, response) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return text.trim() || `HTTP ${response.status}`;
  }
}
