// Elements are made of text alone: nothing that a record holds is ever read as HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

// Text that may have to be scrolled: the keyboard reaches it, and it has a name.
export function scrolled(tag, label, text, properties = {}) {
  return h(tag, { tabindex: 0, role: "group", "aria-label": label, ...properties }, text);
}

// A table whose cells know their heading, so that it can be read as cards on a narrow screen.
export function table(headings, rows, { caption, numbers = [] } = {}) {
  const right = (place) => (numbers.includes(place) ? "number" : "");
  const kind = (place, cell) =>
    `${right(place)} ${cell === "–" || cell === "" ? "none" : ""} ${String(cell).length > 18 ? "wide" : ""}`.trim();
  return h(
    "table",
    {},
    h("caption", { class: "hidden" }, caption ?? ""),
    h("thead", {}, h("tr", {}, headings.map((text, place) =>
      h("th", { scope: "col", class: right(place) }, text)))),
    h("tbody", {}, rows.map(({ cells, kind: of }) =>
      h("tr", { class: of ?? null }, cells.map((cell, place) =>
        h(place === 0 ? "th" : "td",
          { scope: place === 0 ? "row" : null, class: kind(place, cell), "data-label": headings[place] },
          cell))))),
  );
}
