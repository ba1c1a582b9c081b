(() => {
  "use strict";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  button.hidden = false;
  label();

  // Paper shows everything: what is folded is opened for it, and folded again afterwards.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((d) => { d.open = false; }));

  const tip = document.getElementById("tip");
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text) node.textContent = text;
    return node;
  };
  const draw = (svg, tag, values) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const key in values) node.setAttribute(key, values[key]);
    svg.append(node);
    return node;
  };
  let settle = null; // puts the open tooltip where its mark is now
  const hide = () => {
    settle = null;
    tip.hidden = true;
    document.querySelectorAll(".cursor").forEach((n) => n.remove());
    document.querySelectorAll(".mark.on").forEach((n) => n.classList.remove("on"));
  };

  // Where one can stop in a chart: {x, y} in its own units, a heading, rows of [colour, name, value].
  const stopsOfLines = (svg) => {
    const series = [...svg.querySelectorAll("polyline[data-y]")].map((line) => ({
      colour: line.classList[1],
      name: line.dataset.name,
      at: line.getAttribute("points").split(" ").map((p) => p.split(",").map(Number)),
      x: line.dataset.x.split("|"),
      y: line.dataset.y.split("|"),
    }));
    const stops = new Map();
    series.forEach((s) => s.at.forEach(([x], i) => stops.has(x) || stops.set(x, s.x[i])));
    const closest = (s, x) => s.at.reduce((best, p, i) => (Math.abs(p[0] - x) < Math.abs(s.at[best][0] - x) ? i : best), 0);
    return [...stops].sort((a, b) => a[0] - b[0]).map(([x, head]) => {
      const rows = series.map((s) => [s, closest(s, x)]).filter(([s, i]) => Math.abs(s.at[i][0] - x) < 5);
      return {
        x, y: Math.min(...rows.map(([s, i]) => s.at[i][1])), head,
        rows: rows.map(([s, i]) => [s.colour, s.name, s.y[i]]),
        dots: rows.map(([s, i]) => [s.at[i], s.colour]),
      };
    });
  };
  const stopsOfMarks = (svg) => [...svg.querySelectorAll(".mark")].map((mark) => {
    const [head, ...rest] = mark.querySelector("title").textContent.split("\n");
    const box = mark.getBBox();
    return { mark, x: box.x + box.width / 2, y: box.y + (mark.matches("rect") ? 0 : box.height / 2), head, rows: rest.map((r) => ["", r, ""]) };
  });

  for (const svg of document.querySelectorAll("svg.plot")) {
    let stops = null;
    let now = -1;
    const along = svg.querySelector("polyline[data-y]") !== null;
    const ready = () => {
      if (!stops) {
        stops = along ? stopsOfLines(svg) : stopsOfMarks(svg);
        svg.querySelectorAll("title").forEach((t) => t.remove()); // one tooltip is enough
      }
      return stops.length > 0;
    };
    const show = (index) => {
      const stop = stops[index];
      now = index;
      hide();
      if (stop.mark) stop.mark.classList.add("on");
      else {
        const [, top, , height] = svg.getAttribute("viewBox").split(" ").map(Number);
        draw(svg, "line", { class: "cursor", x1: stop.x, x2: stop.x, y1: top + 12, y2: height - 28 });
        stop.dots.forEach(([[cx, cy], c]) => draw(svg, "circle", { class: `cursor ${c}`, cx, cy, r: 4 }));
      }
      tip.replaceChildren(make("b", "", stop.head), ...stop.rows.map(([colour, name, value]) => {
        const row = make("span", "tip-row");
        row.append(make("span", colour, name), make("b", "", value));
        return row;
      }));
      tip.hidden = false;
      settle = () => {
        const matrix = svg.getScreenCTM();
        const x = stop.x * matrix.a + matrix.e;
        const y = stop.y * matrix.d + matrix.f;
        const { width, height } = tip.getBoundingClientRect();
        const room = document.documentElement.clientWidth;
        const left = x + 14 + width < room ? x + 14 : x - 14 - width;
        tip.style.left = `${Math.max(6, Math.min(left, room - width - 6))}px`;
        tip.style.top = `${y - height - 10 > 0 ? y - height - 10 : y + 14}px`;
      };
      settle();
    };
    const point = (event) => {
      if (!ready()) return;
      const matrix = svg.getScreenCTM();
      const x = (event.clientX - matrix.e) / matrix.a;
      const y = (event.clientY - matrix.f) / matrix.d;
      const far = (s) => Math.abs(s.x - x) + (along ? 0 : Math.abs(s.y - y));
      show(stops.reduce((best, s, i) => (far(s) < far(stops[best]) ? i : best), 0));
    };
    svg.tabIndex = 0;
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", () => document.activeElement === svg || hide());
    svg.addEventListener("focus", () => ready() && show(now < 0 ? (along ? stops.length - 1 : 0) : now));
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined || !ready()) return;
      event.preventDefault();
      show(Math.max(0, Math.min(stops.length - 1, now + step)));
    });
  }
  for (const event of ["scroll", "resize"]) addEventListener(event, () => settle && settle(), { passive: true });
})();
