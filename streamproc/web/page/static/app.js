import { showPicture, startOverview } from "./overview.js";
import { openLetters } from "./letters.js";
import { openPlayground } from "./playground.js";
import { events } from "./requests.js";

const VIEWS = { overview: () => {}, letters: openLetters, playground: openPlayground };
const opened = new Set();

function show() {
  const [wanted] = location.hash.slice(1).split("/");
  const view = wanted in VIEWS ? wanted : "overview";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!opened.has(view)) {
    opened.add(view);
    VIEWS[view](document.getElementById(view));
  }
}

const TRY_AGAIN_MS = 3000;

// As an EventSource would, which can send no key.
async function follow() {
  const shown = document.getElementById("connection");
  const say = (text, kind) => {
    if (shown.textContent !== text) shown.textContent = text;
    shown.className = kind;
  };
  for (;;) {
    try {
      for await (const data of events("api/events")) {
        say("live", "good");
        showPicture(JSON.parse(data));
      }
    } catch {
      // It is said below, and tried again.
    }
    say("connecting again", "bad");
    await new Promise((again) => setTimeout(again, TRY_AGAIN_MS));
  }
}

function theme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme") ?? (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = chosen;
    button.textContent = chosen === "dark" ? "Light" : "Dark";
  };
  button.addEventListener("click", () => {
    localStorage.setItem("theme", button.textContent.toLowerCase());
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

theme();
startOverview();
addEventListener("hashchange", () => {
  // The skip link and anchors inside a page are no pages of their own.
  if (location.hash !== "#main") show();
});
show();
follow();
