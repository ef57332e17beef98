import { svg } from "./dom.js";
import { amount } from "./format.js";

const WIDTH = 120;
const HEIGHT = 24;

// Rates of the last quarter of an hour, the latest at the right edge.
export function sparkline(rates, steps = 90) {
  const most = Math.max(...rates, 0);
  const label = `between ${amount(Math.min(...rates, most))} and ${amount(most)} a second`;
  const picture = svg("svg", {
    class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label,
    width: WIDTH, height: HEIGHT,
  });
  if (rates.length < 2 || most === 0) {
    picture.append(svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, class: "flat" }));
    return picture;
  }
  const step = WIDTH / (steps - 1);
  const left = WIDTH - step * (rates.length - 1);
  const points = rates.map((rate, place) =>
    [left + place * step, HEIGHT - 1 - (rate / most) * (HEIGHT - 3)].map((n) => n.toFixed(1)).join(","));
  picture.append(
    svg("polygon", { class: "area", points: `${left},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
    svg("polyline", { class: "line", points: points.join(" ") }),
  );
  return picture;
}
