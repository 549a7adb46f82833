// How a flow graph is laid out and drawn: a column for each site of the window, from left to right where there is room
// and from top to bottom on a phone; and what is told of the feature that is looked at.
"use strict";

/** Where everything stands. Lengths run along the flow, breadths across it; both are in pixels. */
class FlowLayout {
  static #REM = { lying: [5.8, 11, 2.9], upright: [3.7, 3.7, 5.4] }; // shortest and longest node, breadth of a node
  static #TERSE = 8.6; // a node shorter than this gives its kind a line of its own
  static #GAP = { lying: [2.4, 8], upright: [2.9, 2.9] };
  static #BETWEEN = 0.45;
  static #LANE = 0.7;

  constructor(window, traced, width) {
    this.rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    Object.assign(this, { window, traced, count: window.columns.length });
    const [shortest] = FlowLayout.#REM.lying;
    this.lying = width >= (this.count * shortest + (this.count - 1) * FlowLayout.#GAP.lying[0]) * this.rem;
    this.#measure(width / this.rem);
    this.across = new Map([[traced.centre, 0]]);
    this.lanes = new Map(traced.edges.map((edge) => [edge, new Map()]));
    this.breadths = window.columns.map(() => 0);
    const middle = window.column(traced.centre);
    this.breadths[middle] = this.breadth;
    for (let column = middle + 1; column < this.count; column++) this.#place(column, "to", "from");
    for (let column = middle - 1; column >= 0; column--) this.#place(column, "from", "to");
    this.#frame(width);
  }

  #measure(width) {
    const way = this.lying ? "lying" : "upright";
    const [, longest, breadth] = FlowLayout.#REM[way];
    const [least, most] = FlowLayout.#GAP[way];
    const room = (width - (this.count - 1) * least) / this.count;
    const length = this.lying ? Math.min(longest, room) : longest;
    const gap = this.lying ? Math.min(most, (width - this.count * length) / (this.count - 1)) : most;
    this.terse = !this.lying || length < FlowLayout.#TERSE;
    this.length = length * this.rem;
    this.gap = gap * this.rem;
    this.breadth = (this.lying && this.terse ? 3.7 : breadth) * this.rem;
    this.head = (this.lying ? 2.6 : 1.1) * this.rem;
  }

  /** Stack a column's nodes, and lanes for the edges that pass through it, near what they are joined to. */
  #place(column, far, near) {
    const { window } = this;
    const edges = this.traced.edges.filter((edge) => this.across.has(edge[near]) || this.lanes.get(edge).size);
    const ours = edges.filter(
      (edge) => (far === "to") === window.column(edge[far]) > window.column(this.traced.centre),
    );
    const nodes = new Map();
    const lanes = [];
    for (const edge of ours) {
      if (edge[far] === this.traced.centre) continue;
      const beyond = (window.column(edge[far]) - column) * (far === "to" ? 1 : -1);
      const behind = (window.column(edge[near]) - column) * (far === "to" ? 1 : -1);
      if (beyond === 0) nodes.set(edge[far], [...(nodes.get(edge[far]) ?? []), this.#end(edge, near)]);
      else if (beyond > 0 && behind < 0)
        lanes.push({ edge, wanted: this.#end(edge, near), rank: 0.5, size: FlowLayout.#LANE });
    }
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const stood = [...nodes].map(([id, ends]) => {
      const rank = window.columns[column].indexOf(window.site(id)) > 0 ? 1 : 0;
      return { id, wanted: mean(ends), rank, size: this.breadth / this.rem };
    });
    this.#stack(
      column,
      [...stood, ...lanes].sort((a, b) => a.wanted - b.wanted || a.rank - b.rank),
    );
  }

  #stack(column, items) {
    const between = FlowLayout.#BETWEEN;
    const total = items.reduce((sum, { size }) => sum + size + between, -between);
    let at = -total / 2;
    for (const { id, edge, size } of items) {
      if (id) this.across.set(id, (at + size / 2) * this.rem);
      else this.lanes.get(edge).set(column, (at + size / 2) * this.rem);
      at += size + between;
    }
    this.breadths[column] = Math.max(total, 0) * this.rem;
  }

  /** Where an edge stands across the flow, the last time that it was placed on its way from this end. */
  #end(edge, near) {
    return [...this.lanes.get(edge).values()].at(-1) ?? this.across.get(edge[near]);
  }

  #frame(width) {
    const lengths = this.count * this.length + (this.count - 1) * this.gap;
    const heads = this.lying ? this.head : this.head * this.count;
    const breadth = Math.max(...this.breadths) + 4;
    this.size = this.lying ? [Math.max(lengths, 0), breadth + heads] : [Math.max(breadth, width - 2), lengths + heads];
    this.axis = this.lying ? this.head + breadth / 2 : this.size[0] / 2;
  }

  /** Where a column begins along the flow. */
  start(column) {
    return column * (this.length + this.gap) + (this.lying ? 0 : this.head * (column + 1));
  }

  /** A node's box. */
  box(id) {
    const [along, across] = [this.start(this.window.column(id)), this.axis + this.across.get(id) - this.breadth / 2];
    if (this.lying) return { x: along, y: across, width: this.length, height: this.breadth };
    return { x: across, y: along, width: this.breadth, height: this.length };
  }

  /** An edge as stretches from column to column, each by its ends, as [along, across]. */
  stretches(edge) {
    const [from, to] = [this.window.column(edge.from), this.window.column(edge.to)];
    const lanes = [...this.lanes.get(edge)].sort(([a], [b]) => a - b);
    const points = [[this.start(from) + this.length, this.across.get(edge.from)]];
    for (const [column, across] of lanes)
      points.push([this.start(column), across], [this.start(column) + this.length, across]);
    points.push([this.start(to), this.across.get(edge.to)]);
    return points.map(([along, across]) => [along, across + this.axis]);
  }

  /** A point of the drawing. */
  point([along, across]) {
    return this.lying ? [along, across] : [across, along];
  }
}

/** The drawing itself: edges, their scores, and nodes that can be walked over and pressed. */
class FlowDrawing {
  static #brush = document.createElement("canvas").getContext("2d");

  constructor(graph, layout, { kinds, noisy, shown }) {
    Object.assign(this, { graph, layout, kinds, noisy, shown });
    const { edges, nodes, centre } = graph;
    const { element } = Page;
    const [width, height] = layout.size.map(Math.ceil);
    this.nodes = new Map([...nodes].map((id) => [id, this.#node(id)]));
    const shape = { class: "flow-drawn", width, height, viewBox: `0 0 ${width} ${height}`, role: "group" };
    const label = `Flow graph of ${centre}; arrow keys move, Enter shows a feature, Enter once more makes it the centre`;
    this.svg = element(
      "svg",
      { ...shape, "aria-label": label },
      element(
        "g",
        { class: "flow-edges", "aria-hidden": "true" },
        edges.map((edge) => this.#edge(edge)),
      ),
      element(
        "g",
        { class: "flow-scores", "aria-hidden": "true" },
        edges.map((edge) => this.#score(edge)),
      ),
      element("g", { class: "flow-heads", "aria-hidden": "true" }, this.#heads()),
      element("g", {}, [...this.nodes.values()]),
    );
    this.mark(shown);
  }

  /** A text cut to a width. */
  #fit(text, width, size, weight = "") {
    const brush = FlowDrawing.#brush;
    brush.font = `${weight} ${size * this.layout.rem}px system-ui, sans-serif`;
    const letters = [...text];
    if (brush.measureText(text).width <= width) return text;
    while (letters.length && brush.measureText(`${letters.join("")}…`).width > width) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  #text(name, x, y, text, more = {}) {
    return Page.element("text", { class: name, x: x.toFixed(1), y: y.toFixed(1), ...more }, text);
  }

  #heads() {
    const { layout } = this;
    const { rem } = layout;
    return layout.window.columns.flatMap((sites, column) => {
      const titles = sites.map(({ title }) => Feature.visible(title));
      if (!layout.lying) {
        const said = this.#fit(titles.join(" · "), layout.size[0] - 4, 0.6);
        return this.#text("flow-head", 0, layout.start(column) - 0.35 * rem, said);
      }
      const lines = titles.length > 1 ? titles : FlowDrawing.#halves(titles[0]);
      return lines.slice(0, 2).map((line, i) => {
        const said = this.#fit(line, layout.length + 0.8 * layout.gap, 0.6);
        return this.#text("flow-head", layout.start(column), (0.75 + 0.85 * i) * rem, said);
      });
    });
  }

  /** “residual stream after layer 14” in two lines, the layer by itself. */
  static #halves(title) {
    const place = title.search(/ (after|of|before) layer /);
    return place === -1 ? [title] : [title.slice(0, place), title.slice(place + 1)];
  }

  #edge(edge) {
    const points = this.layout.stretches(edge);
    const at = (point) =>
      this.layout
        .point(point)
        .map((value) => value.toFixed(1))
        .join(" ");
    const bends = points.slice(1).map((point, i) => {
      if (i % 2) return `L ${at(point)}`;
      const middle = (points[i][0] + point[0]) / 2;
      return `C ${at([middle, points[i][1]])} ${at([middle, point[1]])} ${at(point)}`;
    });
    const d = `M ${at(points[0])} ${bends.join(" ")}`;
    const width = (1 + 5 * Math.max(0, edge.score) ** 2).toFixed(1);
    const name = this.noisy(edge) ? "flow-edge flow-edge--noise" : "flow-edge";
    return Page.element("path", { class: name, d, "stroke-width": width, "data-ends": `${edge.from} ${edge.to}` });
  }

  /** The score stands two thirds of the way to the end that lies farther from the centre, where edges lie apart. */
  #score(edge) {
    const points = this.layout.stretches(edge);
    const { window } = this.layout;
    const onwards = window.column(edge.to) > window.column(this.graph.centre);
    const [near, far] = onwards ? points.slice(-2) : [points[1], points[0]];
    const t = 0.62;
    const [start, turn] = [(1 - t) ** 3 + 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2 + t ** 3];
    const along = near[0] + (far[0] - near[0]) * (1.5 * (1 - t) * t + t ** 3);
    const [x, y] = this.layout.point([along, near[1] * start + far[1] * turn]);
    const ends = `${edge.from} ${edge.to}`;
    const middle = { "text-anchor": "middle", "data-ends": ends };
    return this.#text(
      "flow-score",
      x,
      y + 0.2 * this.layout.rem,
      Feature.number(edge.score).replace("0.", "."),
      middle,
    );
  }

  /** A node is called by what stands on it, with its site, which only its column shows. */
  #node(id) {
    const { element } = Page;
    const { layout, graph, kinds } = this;
    const { x, y, width, height } = layout.box(id);
    const { kind } = layout.window.nodes.get(id);
    const centre = id === graph.centre;
    const lines = this.#lines(id, x + 0.55 * layout.rem, y, width - 1.1 * layout.rem);
    const said = lines.map(({ textContent }) => textContent).filter(Boolean);
    const label = `${said.join(" ")}, ${layout.window.site(id).title}${centre ? ", the centre" : ""}`;
    const name = centre ? "flow-node flow-node--centre" : "flow-node";
    return element(
      "g",
      {
        class: name,
        role: "button",
        tabindex: -1,
        "data-node": id,
        "data-hue": kind ? kinds.indexOf(kind) : null,
        "aria-label": label,
      },
      element("rect", { class: "flow-box", x, y, width, height, rx: 4 }),
      element("rect", { class: "flow-kind", x, y, width: 0.25 * layout.rem, height, rx: 1 }),
      lines.flatMap((line) => [line, " "]),
    );
  }

  /** Name, kind and words; where there is little room each has a line of its own. */
  #lines(id, x, y, width) {
    const { rem, terse, window } = this.layout;
    const { kind, promoted } = window.nodes.get(id);
    const [below, at] = terse ? [3.1, [x, y + 2.1 * rem]] : [2.3, [x + width, y + 1.2 * rem]];
    return [
      this.#text("flow-name", x, y + 1.2 * rem, this.#fit(id, width, 0.68, "600")),
      this.#text("flow-word", ...at, kind ?? "", { "text-anchor": terse ? "start" : "end" }),
      this.#text("flow-words", x, y + below * rem, this.#fit(Feature.inLine(promoted, 5), width, 0.62)),
    ];
  }

  /** Show which node is looked at, and its edges. */
  mark(id) {
    this.shown = id;
    for (const [name, node] of this.nodes) {
      node.setAttribute("aria-pressed", name === id);
      node.setAttribute("tabindex", name === id ? 0 : -1);
    }
    for (const part of this.svg.querySelectorAll("[data-ends]")) {
      part.classList.toggle("flow-touched", part.dataset.ends.split(" ").includes(id));
    }
  }

  focus(id) {
    this.nodes.get(id)?.focus();
  }

  /** The node that an arrow key leads to: within the column, or along the strongest edge. */
  next(id, key) {
    const { lying, window, across } = this.layout;
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
    const [back, on, before, after] = lying ? keys : [keys[2], keys[3], keys[0], keys[1]];
    if (key === back) return this.graph.edges.filter(({ to }) => to === id).sort(FlowDrawing.#stronger)[0]?.from;
    if (key === on) return this.graph.edges.filter(({ from }) => from === id).sort(FlowDrawing.#stronger)[0]?.to;
    const column = [...this.nodes.keys()].filter((other) => window.column(other) === window.column(id));
    column.sort((a, b) => across.get(a) - across.get(b));
    return column[column.indexOf(id) + (key === after ? 1 : key === before ? -1 : 0)];
  }

  static #stronger(a, b) {
    return b.score - a.score;
  }
}

/** What a feature of the graph is. */
class FlowPanel {
  static KINDS = {
    translated: "carried over: an earlier feature of the residual stream points the same way, no module's does",
    processed: "earlier features of the residual stream and of a module both point the same way",
    newborn: "only a feature of a module, attention or MLP, points the same way",
    unexplained: "no earlier feature points the same way beyond chance",
  };

  /** `trace` makes the feature that is shown the centre. */
  constructor(holder, trace) {
    Object.assign(this, { holder, trace });
  }

  draw(window, id, centre) {
    const { element } = Page;
    const { kind, rate, promoted, suppressed, contexts } = window.nodes.get(id);
    const button = element("button", { type: "button", class: "button" }, "Make it the centre");
    button.addEventListener("click", () => this.trace(id));
    const list = (label, tokens) => element("div", {}, element("h3", {}, label), Feature.tokens(tokens, label));
    const facts = [Feature.visible(window.site(id).title), Feature.rate(rate)].filter(Boolean).join(" · ");
    const sign = id === centre ? element("span", { class: "head-held" }, "centre") : null;
    this.holder.replaceChildren(
      element("h2", {}, Feature.visible(id), sign),
      element("p", { class: "quiet feature-facts" }, facts),
      ...(kind ? [element("p", { class: "flow-says" }, element("strong", {}, kind), this.#meaning(kind))] : []),
      ...(id === centre ? [] : [element("p", {}, button)]),
      element("div", { class: "token-pair" }, list("Promoted tokens", promoted), list("Suppressed tokens", suppressed)),
      element("h3", {}, "Contexts"),
      Feature.contexts(contexts),
    );
  }

  #meaning(kind) {
    return FlowPanel.KINDS[kind] ? `: ${FlowPanel.KINDS[kind]}` : "";
  }
}
