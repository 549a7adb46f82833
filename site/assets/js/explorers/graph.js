// @ts-check
// A graph: choose a node and see which nodes of earlier columns lead to it, and which of later ones follow. It runs
// from left to right where there is room, and down on a phone; every node and every edge can be looked at. Where nodes
// say how far across they stand, the graph is a lattice: columns become rows, the first one at the bottom.
"use strict";

/** @typedef {{name: string, title: string, column: number, chance?: number, label?: string}} Place */
/** @typedef {Thing & {place: string, kind?: string | null, across?: number}} GraphNode */
/** @typedef {{from: string, to: string, weight: number, facts?: string[], parts?: Part[]}} Edge */
/** @typedef {{centre: string, nodes: Set<string>, edges: Edge[], weak: number, left: number}} Traced */
/** @typedef {"from" | "to"} End of an edge */
/** @typedef {Map<string, Edge[]>} Edges by the name of the node at one end */
/** @typedef {(edge: Edge) => boolean} Shows */

const strength = ({ weight }) => Math.abs(weight);
const stronger = (a, b) => strength(b) - strength(a);
const edgeName = ({ from, to }) => `${from} → ${to}`;

/**
 * Show in a drawing what is looked at, a node with its edges or an edge; the keys begin there, or at the centre.
 * @param {any} svg @param {Map<string, any>} nodes @param {string} shown @param {string} centre
 */
const markDrawn = (svg, nodes, shown, centre) => {
  const start = nodes.has(shown) ? shown : centre;
  for (const [name, node] of nodes) {
    node.setAttribute("aria-pressed", String(name === shown));
    node.setAttribute("tabindex", name === start ? "0" : "-1");
  }
  for (const part of /** @type {NodeListOf<SVGElement>} */ (svg.querySelectorAll("[data-from]"))) {
    const { edge, from, to } = part.dataset;
    part.classList.toggle("graph-touched", [edge, from, to].includes(shown));
  }
};

/** A recorded graph, and what can be reached in it. */
class Network {
  /**
   * @param {{name: string, places: Place[], nodes: GraphNode[], edges: Edge[], starts: string[], across?: string[]}}
   * recorded
   */
  constructor({ name, places, nodes, edges, starts, across }) {
    this.name = name;
    /** @type {string[] | undefined} what stands across, where it is a lattice */ this.lattice = across;
    this.places = new Map(places.map((place) => [place.name, place]));
    const count = 1 + Math.max(-1, ...places.map(({ column }) => column));
    this.columns = Array.from({ length: count }, (_, i) => places.filter(({ column }) => column === i));
    this.nodes = new Map(nodes.map((node) => [node.name, node]));
    this.starts = starts;
    this.edges = edges;
    this.into = Network.#by(edges, "to");
    this.out = Network.#by(edges, "from");
  }

  /** @param {Edge[]} edges @param {End} end @returns {Edges} */
  static #by(edges, end) {
    const found = new Map();
    for (const edge of edges) found.set(edge[end], [...(found.get(edge[end]) ?? []), edge]);
    return found;
  }

  /** @param {string} name @returns {any} */
  node(name) {
    return this.nodes.get(name);
  }

  /** @param {string} name @returns {any} */
  place(name) {
    return this.places.get(this.node(name).place);
  }

  /** @param {string} name @returns {number} */
  column(name) {
    return this.place(name).column;
  }

  /** Whether an edge is no more than chance. @param {Edge} edge */
  weak(edge) {
    return strength(edge) < (this.place(edge.from).chance ?? 0);
  }

  /**
   * What leads to a node and what follows from it, over edges that are shown; at most so many nodes a column.
   * @param {string} centre @param {Shows} shows @param {number} most @returns {Traced}
   */
  trace(centre, shows, most) {
    const columns = [...this.columns.keys()];
    const middle = this.column(centre);
    const traced = { centre, nodes: new Set([centre]), edges: [], weak: 0, left: 0 };
    this.#reach(traced, this.into, "from", columns.slice(0, middle).reverse(), shows, most);
    this.#reach(traced, this.out, "to", columns.slice(middle + 1), shows, most);
    return traced;
  }

  /**
   * @param {Traced} traced @param {Edges} edges @param {End} far @param {number[]} columns
   * @param {Shows} shows @param {number} most
   */
  #reach(traced, edges, far, columns, shows, most) {
    const reached = new Set([traced.centre]);
    for (const column of columns) {
      const ours = [...reached].flatMap((name) => edges.get(name) ?? []);
      const leading = ours.filter((edge) => this.column(edge[far]) === column);
      const shown = leading.filter(shows).sort(stronger);
      const found = [...new Set(shown.map((edge) => edge[far]))];
      const kept = new Set(found.slice(0, most));
      traced.weak += leading.length - shown.length;
      traced.left += found.length - kept.size;
      traced.edges.push(...shown.filter((edge) => kept.has(edge[far])));
      for (const name of kept) reached.add(name) && traced.nodes.add(name);
    }
  }
}

/** Where everything stands. Lengths run along the flow, breadths across it; both are in pixels. */
class GraphLayout {
  length = 0;
  gap = 0;
  breadth = 0;
  head = 0; // room for the title of a column
  axis = 0;
  size = [0, 0];
  terse = false;

  static #REM = { lying: [5.8, 11, 2.9], upright: [3.7, 3.7, 5.4] }; // shortest and longest node, breadth of a node
  static #GAP = { lying: [2.4, 8], upright: [2.9, 2.9] };
  static #TERSE = 8.6; // a node shorter than this gives its kind a line of its own
  static #BETWEEN = 0.45;
  static #LANE = 0.7;

  /** @param {Network} network @param {Traced} traced @param {number} width */
  constructor(network, traced, width) {
    this.rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.network = network;
    this.traced = traced;
    this.count = network.columns.length;
    const [shortest] = GraphLayout.#REM.lying;
    this.lying = width >= (this.count * shortest + (this.count - 1) * GraphLayout.#GAP.lying[0]) * this.rem;
    this.#measure(width / this.rem);
    /** @type {Map<string, number>} */ this.across = new Map([[traced.centre, 0]]);
    /** @type {Map<Edge, Map<number, number>>} */ this.lanes = new Map(traced.edges.map((edge) => [edge, new Map()]));
    this.breadths = network.columns.map(() => 0);
    const middle = network.column(traced.centre);
    this.breadths[middle] = this.breadth;
    for (let column = middle + 1; column < this.count; column++) this.#place(column, "to", "from");
    for (let column = middle - 1; column >= 0; column--) this.#place(column, "from", "to");
    this.#frame(width);
  }

  #measure(width) {
    const way = this.lying ? "lying" : "upright";
    const [, longest, breadth] = GraphLayout.#REM[way];
    const [least, most] = GraphLayout.#GAP[way];
    const gaps = Math.max(this.count - 1, 1);
    const length = this.lying ? Math.min(longest, (width - gaps * least) / this.count) : longest;
    const gap = this.lying ? Math.min(most, (width - this.count * length) / gaps) : most;
    this.terse = !this.lying || length < GraphLayout.#TERSE;
    this.length = length * this.rem;
    this.gap = gap * this.rem;
    this.breadth = (this.lying && this.terse ? 3.7 : breadth) * this.rem;
    this.head = (this.lying ? 2.6 : 1.1) * this.rem;
  }

  /**
   * Stack a column's nodes, and lanes for the edges that pass through it, near what they are joined to.
   * @param {number} column @param {End} far @param {End} near
   */
  #place(column, far, near) {
    const { network, traced } = this;
    const way = far === "to" ? 1 : -1;
    const beyond = (name) => (network.column(name) - column) * way;
    const passes = (edge) => beyond(edge[far]) >= 0 && beyond(edge[near]) < 0;
    const joined = traced.edges.filter((edge) => passes(edge) && this.#end(edge, near) !== undefined);
    const names = [...new Set(joined.filter((edge) => beyond(edge[far]) === 0).map((edge) => edge[far]))];
    const nodes = names.map((name) => {
      const ends = joined.filter((edge) => edge[far] === name).map((edge) => this.#end(edge, near));
      const rank = network.columns[column].indexOf(network.place(name)) > 0 ? 1 : 0;
      const wanted = ends.reduce((sum, end) => sum + end, 0) / ends.length;
      return { name, wanted, rank, size: this.breadth / this.rem };
    });
    const passing = joined.filter((edge) => beyond(edge[far]) > 0);
    const lanes = passing.map((edge) => ({ edge, wanted: this.#end(edge, near), rank: 0.5, size: GraphLayout.#LANE }));
    this.#stack(column, [...nodes, ...lanes].sort((a, b) => a.wanted - b.wanted || a.rank - b.rank));
  }

  /** @param {number} column @param {any[]} items */
  #stack(column, items) {
    const between = GraphLayout.#BETWEEN;
    const total = items.reduce((sum, { size }) => sum + size + between, -between);
    let at = -total / 2;
    for (const { name, edge, size } of items) {
      const middle = (at + size / 2) * this.rem;
      if (name) this.across.set(name, middle);
      else this.lanes.get(edge)?.set(column, middle);
      at += size + between;
    }
    this.breadths[column] = Math.max(total, 0) * this.rem;
  }

  /**
   * Where an edge stands across the flow, the last time that it was placed on its way from this end.
   * @param {Edge} edge @param {End} near @returns {any}
   */
  #end(edge, near) {
    return [...(this.lanes.get(edge)?.values() ?? [])].at(-1) ?? this.across.get(edge[near]);
  }

  #frame(width) {
    const lengths = this.count * this.length + (this.count - 1) * this.gap;
    const heads = this.lying ? this.head : this.head * this.count;
    const breadth = Math.max(...this.breadths) + 4;
    this.size = this.lying ? [lengths, breadth + heads] : [Math.max(breadth, width - 2), lengths + heads];
    this.axis = this.lying ? this.head + breadth / 2 : this.size[0] / 2;
  }

  /** Where a column begins along the flow. @param {number} column */
  start(column) {
    return column * (this.length + this.gap) + (this.lying ? 0 : this.head * (column + 1));
  }

  /** A node's box. @param {string} name */
  box(name) {
    const along = this.start(this.network.column(name));
    const across = this.axis + (this.across.get(name) ?? 0) - this.breadth / 2;
    if (this.lying) return { x: along, y: across, width: this.length, height: this.breadth };
    return { x: across, y: along, width: this.breadth, height: this.length };
  }

  /** An edge as stretches from column to column, each by its ends, as [along, across]. @param {Edge} edge */
  stretches(edge) {
    const [from, to] = [edge.from, edge.to].map((name) => [this.network.column(name), this.across.get(name) ?? 0]);
    const lanes = [...(this.lanes.get(edge) ?? [])].sort(([a], [b]) => a - b);
    const passed = [from, ...lanes, to].flatMap(([column, across]) => {
      const start = this.start(column);
      return [start, start + this.length].map((along) => [along, across + this.axis]);
    });
    return passed.slice(1, -1); // from where the first column ends to where the last begins
  }

  /** A point of the drawing. @param {number[]} point */
  point([along, across]) {
    return this.lying ? [along, across] : [across, along];
  }
}

/** A picture of what a layout places, its parts one above the other. @param {GraphLayout | LatticeLayout} layout */
function picture(layout, look, ...parts) {
  const [width, height] = layout.size.map(Math.ceil);
  const { centre } = layout.traced;
  const label = `Graph around ${centre}; arrow keys move, Enter shows a node, Enter once more makes it the centre`;
  const shape = { class: look, width, height, viewBox: `0 0 ${width} ${height}` };
  return Page.element("svg", { ...shape, role: "group", "aria-label": label }, ...parts);
}

/** A word in a picture. @param {string} look @param {number} x @param {number} y @param {string} said */
function written(look, x, y, said, more = {}) {
  return Page.element("text", { class: look, x: x.toFixed(1), y: y.toFixed(1), ...more }, said);
}

/** The drawing itself: edges, their weights, and nodes that can be walked over and pressed. */
class GraphDrawing {
  static #brush = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

  /** @param {GraphLayout} layout @param {string[]} kinds */
  constructor(layout, kinds) {
    this.layout = layout;
    this.kinds = kinds;
    this.network = layout.network;
    const { edges, nodes } = layout.traced;
    const { element } = Page;
    this.nodes = new Map([...nodes].map((name) => [name, this.#node(name)]));
    const unread = { "aria-hidden": "true" };
    this.svg = picture(
      layout,
      "graph-drawn",
      element("g", unread, edges.flatMap((edge) => this.#edge(edge))),
      element("g", unread, edges.map((edge) => this.#weight(edge))),
      element("g", unread, this.#heads()),
      element("g", {}, [...this.nodes.values()]),
    );
  }

  /** A text cut to a width. @param {string} text @param {number} width @param {number} size */
  #fit(text, width, size, weight = "") {
    const brush = GraphDrawing.#brush;
    brush.font = `${weight} ${size * this.layout.rem}px system-ui, sans-serif`;
    const letters = [...text];
    if (brush.measureText(text).width <= width) return text;
    while (letters.length && brush.measureText(`${letters.join("")}…`).width > width) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  #heads() {
    const { layout } = this;
    return layout.network.columns.flatMap((places, column) => {
      const titles = places.map(({ title }) => Sheet.visible(title));
      if (!layout.lying) {
        const said = this.#fit(titles.join(" · "), layout.size[0] - 4, 0.6);
        return [written("graph-head", 0, layout.start(column) - 0.35 * layout.rem, said)];
      }
      const lines = titles.length > 1 ? titles : GraphDrawing.#halves(titles[0] ?? "");
      return lines.slice(0, 2).map((line, i) => {
        const said = this.#fit(line, layout.length + 0.8 * layout.gap, 0.6);
        return written("graph-head", layout.start(column), (0.75 + 0.85 * i) * layout.rem, said);
      });
    });
  }

  /** “residual stream after layer 14” in two lines, the layer by itself. @param {string} title */
  static #halves(title) {
    const place = title.search(/ (after|of|before) layer /);
    return place === -1 ? [title] : [title.slice(0, place), title.slice(place + 1)];
  }

  /** @param {Edge} edge */
  #marks(edge) {
    return { "data-from": edge.from, "data-to": edge.to, "data-edge": edgeName(edge) };
  }

  /** @param {Edge} edge */
  #edge(edge) {
    const points = this.layout.stretches(edge);
    const at = (point) => this.layout.point(point).map((value) => value.toFixed(1)).join(" ");
    const bends = points.slice(1).map((point, i) => {
      if (i % 2) return `L ${at(point)}`;
      const middle = (points[i][0] + point[0]) / 2;
      return `C ${at([middle, points[i][1]])} ${at([middle, point[1]])} ${at(point)}`;
    });
    const d = `M ${at(points[0])} ${bends.join(" ")}`;
    const looks = [this.network.weak(edge) ? "graph-edge--weak" : "", edge.weight < 0 ? "graph-edge--down" : ""];
    const name = ["graph-edge", ...looks].filter(Boolean).join(" ");
    const width = (1 + 5 * Math.min(strength(edge), 1) ** 2).toFixed(1);
    const seen = Page.element("path", { class: name, d, "stroke-width": width, ...this.#marks(edge) });
    return [Page.element("path", { class: "graph-reach", d, "data-edge": edgeName(edge) }), seen];
  }

  /**
   * The weight stands two thirds of the way to the end that lies farther from the centre, where edges lie apart.
   * @param {Edge} edge
   */
  #weight(edge) {
    const points = this.layout.stretches(edge);
    const onwards = this.network.column(edge.to) > this.network.column(this.layout.traced.centre);
    const [near, far] = onwards ? points.slice(-2) : [points[1], points[0]];
    const t = 0.62;
    const [start, turn] = [(1 - t) ** 3 + 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2 + t ** 3];
    const along = near[0] + (far[0] - near[0]) * (1.5 * (1 - t) * t + t ** 3);
    const [x, y] = this.layout.point([along, near[1] * start + far[1] * turn]);
    const said = Explorer.number(edge.weight).replace(/^(−?)0\./, "$1.");
    return written("graph-weight", x, y + 0.2 * this.layout.rem, said, {
      "text-anchor": "middle",
      ...this.#marks(edge),
    });
  }

  /** A node is called by what stands on it, with its place, which only its column shows. @param {string} name */
  #node(name) {
    const { element } = Page;
    const { layout, kinds, network } = this;
    const { x, y, width, height } = layout.box(name);
    const { kind } = network.node(name);
    const centre = name === layout.traced.centre;
    const lines = this.#lines(name, x + 0.55 * layout.rem, y, width - 1.1 * layout.rem);
    const said = lines.map(({ textContent }) => textContent).filter(Boolean);
    const look = {
      class: `graph-node${centre ? " graph-node--centre" : ""}`,
      "data-hue": kind ? kinds.indexOf(kind) : null,
    };
    const label = `${said.join(" ")}, ${network.place(name).title}${centre ? ", the centre" : ""}`;
    return element(
      "g",
      { ...look, role: "button", tabindex: -1, "data-node": name, "aria-label": label },
      element("rect", { class: "graph-box", x, y, width, height, rx: 4 }),
      element("rect", { class: "graph-kind", x, y, width: 0.25 * layout.rem, height, rx: 1 }),
      lines.flatMap((line) => [line, " "]),
    );
  }

  /**
   * Name, kind and words; where there is little room each has a line of its own.
   * @param {string} name @param {number} x @param {number} y @param {number} width
   */
  #lines(name, x, y, width) {
    const { rem, terse } = this.layout;
    const node = this.network.node(name);
    const [below, at] = terse ? [3.1, [x, y + 2.1 * rem]] : [2.3, [x + width, y + 1.2 * rem]];
    return [
      written("graph-name", x, y + 1.2 * rem, this.#fit(name, width, 0.68, "600")),
      written("graph-word", at[0], at[1], node.kind ?? "", { "text-anchor": terse ? "start" : "end" }),
      written("graph-words", x, y + below * rem, this.#fit(Sheet.words(node, 5), width, 0.62)),
    ];
  }

  /** Show what is looked at, a node with its edges or an edge. @param {string} shown */
  mark(shown) {
    markDrawn(this.svg, this.nodes, shown, this.layout.traced.centre);
  }

  /** @param {string | undefined} name */
  focus(name) {
    this.nodes.get(name ?? "")?.focus();
  }

  /**
   * The node that an arrow key leads to: within the column, or along the strongest edge.
   * @param {string} name @param {string} key
   */
  next(name, key) {
    const { lying, across, traced } = this.layout;
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
    const [back, on, before, after] = lying ? keys : [keys[2], keys[3], keys[0], keys[1]];
    if (key === back) return traced.edges.filter(({ to }) => to === name).sort(stronger)[0]?.from;
    if (key === on) return traced.edges.filter(({ from }) => from === name).sort(stronger)[0]?.to;
    const column = [...this.nodes.keys()].filter((other) => this.network.column(other) === this.network.column(name));
    column.sort((a, b) => (across.get(a) ?? 0) - (across.get(b) ?? 0));
    return column[column.indexOf(name) + (key === after ? 1 : key === before ? -1 : 0)];
  }
}

/** Where everything stands in a lattice, in pixels: a row for each column, what stands across below. */
class LatticeLayout {
  /** @type {Set<string> | undefined} the places that edges pass by */ passed;

  static #NARROW = 600;
  static #ROW = { wide: [8, 16, 780], narrow: [15, 18, 780] }; // least and most of a row, and of all rows together
  static #STEP = [1.05, 4.5]; // rem from one place across to the next
  static #SLANT = 3.4; // rem below which what stands across is slanted

  /** @param {Network} network @param {Traced} traced @param {number} width */
  constructor(network, traced, width) {
    this.rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.network = network;
    this.traced = traced;
    const across = network.lattice ?? [];
    const [least, most, all] = LatticeLayout.#ROW[width < LatticeLayout.#NARROW ? "narrow" : "wide"];
    const [near, far] = LatticeLayout.#STEP.map((step) => step * this.rem);
    this.row = Math.min(Math.max(all / network.columns.length, least), most);
    this.left = 1.6 * this.rem;
    this.step = Math.min(Math.max((width - this.left) / Math.max(across.length, 1), near), far);
    this.slanted = this.step < LatticeLayout.#SLANT * this.rem;
    this.height = network.columns.length * this.row;
    this.size = [
      this.left + across.length * this.step + 0.4 * this.rem,
      this.height + (this.slanted ? 3.6 : 1.5) * this.rem,
    ];
  }

  /** The middle of a node: one that shares its place across with others of its layer stands aside. @param {string} name */
  middle(name) {
    const { across = 0, place } = this.network.node(name);
    const aside = this.network.place(name).label === undefined && this.#aside(place)
      ? Math.min(0.3 * this.step, 14)
      : 0;
    return [this.left + (across + 0.5) * this.step + aside, this.height - (this.network.column(name) + 0.5) * this.row];
  }

  /** Whether edges pass by a place. @param {string} place */
  #aside(place) {
    const { network } = this;
    this.passed ??= new Set(
      network.edges
        .filter(({ from, to }) => network.column(to) - network.column(from) === 2)
        .flatMap((edge) => network.columns[network.column(edge.from) + 1].map(({ name }) => name)),
    );
    return this.passed.has(place);
  }

  /** A node's box. @param {string} name */
  box(name) {
    const [x, y] = this.middle(name);
    const size = Math.min(0.8 * this.row, 0.6 * this.step);
    return { x: x - size / 2, y: y - size / 2, width: size, height: size };
  }
}

/** The drawing of a lattice: dots and lines without words, so that hundreds of them can be taken in at a glance. */
class LatticeDrawing {
  /** @param {LatticeLayout} layout @param {string[]} kinds */
  constructor(layout, kinds) {
    this.layout = layout;
    this.kinds = kinds;
    this.network = layout.network;
    const { edges, nodes } = layout.traced;
    const { element } = Page;
    this.nodes = new Map([...nodes].map((name) => [name, this.#node(name)]));
    const unread = { "aria-hidden": "true" };
    const weakest = [...edges].sort((a, b) => strength(a) - strength(b));
    this.names = element("g", unread, this.#names());
    this.svg = picture(
      layout,
      "graph-drawn graph-lattice",
      element("g", unread, weakest.flatMap((edge) => this.#edge(edge))),
      element("g", unread, this.#labels()),
      this.names,
      element("g", {}, [...this.nodes.values()]),
    );
  }

  /** Names of rows stay in sight where the lattice is wider than its frame. @param {number} scrolled in pixels */
  stay(scrolled) {
    this.names.setAttribute("transform", `translate(${scrolled} 0)`);
  }

  #names() {
    const { rem, height, row } = this.layout;
    return this.network.columns.flatMap(([place], column) =>
      place?.label === undefined
        ? []
        : [written("graph-head", 1.2 * rem, height - (column + 0.5) * row + 4, place.label, { "text-anchor": "end" })]
    );
  }

  #labels() {
    const { layout, network } = this;
    const { rem, step } = layout;
    return (network.lattice ?? []).map((said, i) => {
      const [x, y] = [layout.left + (i + 0.5) * step, layout.height + 0.9 * rem];
      const turned = { "text-anchor": "end", transform: `rotate(-50 ${x.toFixed(1)} ${y.toFixed(1)})` };
      return written(
        "graph-head",
        x,
        y,
        LatticeDrawing.#short(said),
        layout.slanted ? turned : { "text-anchor": "middle" },
      );
    });
  }

  /** @param {string} said */
  static #short(said) {
    const letters = [...(Sheet.visible(said).trim() || "␣")];
    return letters.length > 9 ? `${letters.slice(0, 8).join("")}…` : letters.join("");
  }

  /** @param {Edge} edge */
  #edge(edge) {
    const [[x, y], [u, v]] = [edge.from, edge.to].map((name) => this.layout.middle(name));
    const bend = x === u ? `L ${u} ${v}` : `C ${x} ${(y + v) / 2} ${u} ${(y + v) / 2} ${u} ${v}`;
    const d = `M ${x} ${y} ${bend}`.replace(/\d+\.\d+/g, (one) => Number(one).toFixed(1));
    const across = [edge.from, edge.to].map((name) => this.network.node(name).across);
    const looks = ["graph-edge", across[0] === across[1] ? "" : "graph-edge--across"].filter(Boolean).join(" ");
    const seen = { "stroke-width": (0.8 + 3.5 * Math.min(strength(edge), 1)).toFixed(1) };
    const marks = { "data-from": edge.from, "data-to": edge.to, "data-edge": edgeName(edge) };
    return [
      Page.element("path", { class: looks, d, ...seen, ...marks }),
      Page.element("path", { class: "graph-reach graph-reach--near", d, "data-edge": edgeName(edge) }),
    ];
  }

  /** @param {string} name */
  #node(name) {
    const { layout, kinds, network } = this;
    const { x, y, width, height } = layout.box(name);
    const node = network.node(name);
    const centre = name === layout.traced.centre;
    const said = [network.lattice?.[node.across ?? 0].trim(), network.place(name).title, centre ? "the centre" : ""];
    const hue = node.kind ? kinds.indexOf(node.kind) : null;
    const look = { class: `graph-node${centre ? " graph-node--centre" : ""}`, "data-hue": hue };
    const label = Sheet.visible(said.filter(Boolean).join(", "));
    const box = { x: x.toFixed(1), y: y.toFixed(1), width, height, rx: hue ? 0 : width / 2 };
    return Page.element(
      "g",
      { ...look, role: "button", tabindex: -1, "data-node": name, "aria-label": label },
      Page.element("rect", { class: "graph-dot", ...box }),
    );
  }

  /** Show what is looked at, a node with its edges or an edge. @param {string} shown */
  mark(shown) {
    markDrawn(this.svg, this.nodes, shown, this.layout.traced.centre);
  }

  /** @param {string | undefined} name */
  focus(name) {
    this.nodes.get(name ?? "")?.focus();
  }

  /**
   * The node that an arrow key leads to: the next one across, or along the strongest edge.
   * @param {string} name @param {string} key
   */
  next(name, key) {
    const { edges } = this.layout.traced;
    if (key === "ArrowDown") return edges.filter(({ to }) => to === name).sort(stronger)[0]?.from;
    if (key === "ArrowUp") return edges.filter(({ from }) => from === name).sort(stronger)[0]?.to;
    const across = (other) => this.network.node(other).across ?? 0;
    const row = [...this.nodes.keys()].filter((other) => this.network.column(other) === this.network.column(name));
    row.sort((a, b) => across(a) - across(b));
    return row[row.indexOf(name) + (key === "ArrowRight" ? 1 : -1)];
  }
}

/** The page: the graph, the list of nodes, the drawing, its legend, and what is known of a node or an edge. */
class Graph extends ListExplorer {
  /** @type {Network[]} */ graphs = [];
  /** @type {string[]} */ kinds = [];
  network = new Network({ name: "", places: [], nodes: [], edges: [], starts: [] });
  /** @type {Traced} what is drawn of it */ traced = { centre: "", nodes: new Set(), edges: [], weak: 0, left: 0 };
  /** @type {GraphDrawing | LatticeDrawing | undefined} */ drawing;

  static #MOST = 8; // nodes a column, until the reader asks for all
  static #PADDING = 12; // of the frame, both sides, as the style sheet has it

  /** @param {HTMLElement} root */
  constructor(root) {
    super(root, "What to start from");
    this.frame = Page.element("div", { class: "graph-frame" });
    this.legend = Page.element("ul", { class: "legend", "aria-label": "Legend" });
    const look = { class: "panel-box panel-box--stays sheet", tabindex: 0 };
    this.panel = Page.element("section", { ...look, "aria-label": "The one looked at" });
    this.main.append(this.status, this.frame, this.legend, this.panel);
    this.#listen();
    const turned = () => this.drawing && this.frame.clientWidth !== this.width && this.#redraw();
    new ResizeObserver(turned).observe(this.frame);
  }

  #listen() {
    const at = ({ target }, name = "node") => target.closest?.(`[data-${name}]`)?.dataset[name];
    this.frame.addEventListener("click", (event) => {
      if (at(event)) this.#press(at(event));
      else if (at(event, "edge")) this.#lookAt(at(event, "edge"));
    });
    this.frame.addEventListener("keydown", (event) => {
      const name = at(event);
      if (!name || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key !== "Enter" && event.key !== " " && !event.key.startsWith("Arrow")) return;
      event.preventDefault();
      if (!event.key.startsWith("Arrow")) this.#press(name);
      else this.drawing?.focus(this.drawing.next(name, event.key));
    });
  }

  get called() {
    return this.data.node;
  }

  take() {
    this.graphs = this.data.graphs.map((recorded) => new Network(recorded));
    this.kinds = (this.data.kinds ?? []).map(({ name }) => name);
    this.#enter(this.graphs[0]);
  }

  /** @param {Network} network */
  #enter(network) {
    this.network = network;
    this.things = network.nodes;
  }

  fields() {
    const named = (name) => Explorer.option(name);
    const listed = this.graphs.some(({ lattice }) => !lattice);
    return [
      Explorer.choice("Graph", "graph", this.graphs.map(({ name }) => named(name))),
      this.search(),
      Explorer.choice("Kind", "kind", [Explorer.option("", "all"), ...(listed ? this.kinds.map(named) : [])]),
      this.#slider(),
      this.#box(),
      ...["look", "all", "setting"].map(Explorer.hidden),
    ];
  }

  /** The least weight of an edge that is shown. */
  #slider() {
    const largest = Math.max(0, ...this.graphs.flatMap(({ edges }) => edges.map(strength)));
    const max = Math.ceil(20 * largest) / 20;
    this.least = Page.element("output", {}, "0.00");
    const { least = 0, step = 0.05 } = this.data.slider ?? {};
    const range = Page.element("input", { type: "range", name: "least", min: least, max, step, value: least });
    return Page.element("label", { class: "filter-range" }, `Least ${this.data.weight} `, range, this.least);
  }

  #box() {
    const known = this.graphs.some(({ places }) => [...places.values()].some(({ chance }) => chance !== undefined));
    const box = Page.element("input", { type: "checkbox", name: "weak", value: "1" });
    return Page.element("label", { hidden: !known }, box, " edges of chance too");
  }

  /** A node that only another graph has leads to that graph. */
  restore(params) {
    super.restore(params);
    const at = this.value("at");
    const asked = this.#asked;
    this.#enter(asked.nodes.has(at) ? asked : (this.graphs.find(({ nodes }) => nodes.has(at)) ?? asked));
    this.put("graph", this.network.name);
  }

  get #asked() {
    return this.graphs.find(({ name }) => name === this.value("graph")) ?? this.graphs[0];
  }

  /** @param {string} name */
  changed(name) {
    if (name === "graph") {
      this.#enter(this.#asked);
      if (!this.things.has(this.value("at"))) this.put("at", "");
      this.put("look", "");
    }
    super.changed(name);
  }

  /** Those to start from; where words are looked for, any that has them, those to start from first. */
  found() {
    const { starts, nodes } = this.network;
    const names = this.value("words").trim() ? new Set([...starts, ...nodes.keys()]) : starts;
    const all = [...names].map((name) => /** @type {GraphNode} */ (nodes.get(name)));
    return this.said(all.filter(({ kind }) => !this.value("kind") || kind === this.value("kind")));
  }

  /** @returns {[number, string]} */
  all() {
    const searched = this.value("words").trim();
    return searched ? [this.things.size, ""] : [this.network.starts.length, " to start from"];
  }

  /** @param {GraphNode} node */
  note({ kind }) {
    return kind ?? "";
  }

  /** Another centre is looked at itself, and its columns are short again. @param {string | undefined} name */
  choose(name, how = {}) {
    this.put("look", "");
    this.put("all", "");
    super.choose(name, how);
    this.tabulate();
  }

  #shows = (edge) =>
    strength(edge) >= Number(this.value("least")) && (this.field("weak").checked || !this.network.weak(edge));

  look() {
    const most = this.value("all") || this.network.lattice ? Infinity : Graph.#MOST;
    this.traced = this.network.trace(this.chosen.name, this.#shows, most);
    if (this.least) this.least.value = Explorer.number(Number(this.value("least")));
    this.#about();
    this.#key();
    this.#redraw();
  }

  #redraw() {
    this.#arrange();
    this.width = this.frame.clientWidth;
    const given = /** @type {const} */ ([this.network, this.traced, this.width - Graph.#PADDING]);
    const layout = this.network.lattice ? new LatticeLayout(...given) : new GraphLayout(...given);
    this.drawing = layout instanceof LatticeLayout
      ? new LatticeDrawing(layout, this.kinds)
      : new GraphDrawing(layout, this.kinds);
    this.frame.replaceChildren(this.drawing.svg);
    const { x, width } = layout.box(this.traced.centre);
    const { drawing } = this;
    this.frame.onscroll = () => drawing instanceof LatticeDrawing && drawing.stay(this.frame.scrollLeft);
    this.frame.scrollLeft = x + width / 2 - this.frame.clientWidth / 2;
    this.#show();
  }

  /** A lattice has its panel beside it, and a list only of what is looked for. */
  #arrange() {
    const lattice = Boolean(this.network.lattice);
    this.main.classList.toggle("explorer-main--lattice", lattice);
    this.list.holder.hidden = this.count.hidden = lattice && !this.value("words").trim();
  }

  /** Look at a node; once more, and it becomes the centre. @param {string} name */
  #press(name) {
    if (name === this.#shown && name !== this.chosen.name) this.#centre(name);
    else this.#lookAt(name);
  }

  #centre(name) {
    this.choose(name, { step: true });
    this.drawing?.focus(name);
  }

  #lookAt(name) {
    this.put("look", name === this.chosen.name ? "" : name);
    this.#show();
    this.keep();
  }

  /** The node or the edge that is looked at: one that is drawn, or else the centre. @returns {string} */
  get #shown() {
    const look = this.value("look");
    const drawn = this.traced.nodes.has(look) || this.traced.edges.some((edge) => edgeName(edge) === look);
    return drawn ? look : this.chosen.name;
  }

  #show() {
    const shown = this.#shown;
    const edge = this.traced.edges.find((each) => edgeName(each) === shown);
    this.drawing?.mark(shown);
    this.panel.replaceChildren(...(edge ? this.#edge(edge) : this.#node(this.network.node(shown))));
  }

  /** @param {Edge} edge */
  #edge(edge) {
    const { element } = Page;
    const { from, to, weight, facts = [], parts = [] } = edge;
    const weak = this.network.weak(edge) ? "no more than chance" : "";
    const words = [from, to].map((name) => Sheet.words(this.network.node(name), 3));
    return [
      element("h2", {}, this.#link(from), " → ", this.#link(to)),
      Sheet.facts([`${this.data.weight} ${Explorer.number(weight)}`, weak, ...facts]),
      Sheet.facts([words.some(Boolean) ? words.join(" → ") : ""]),
      Sheet.parts(parts, this.setting),
    ];
  }

  /** @param {GraphNode} node */
  #node({ name, kind, facts = [], parts = [] }) {
    const { element } = Page;
    const centre = name === this.chosen.name;
    const about = this.data.kinds?.find((each) => each.name === kind)?.about;
    return [
      element("h2", {}, Sheet.visible(name), centre ? element("span", { class: "badge" }, "centre") : null),
      Sheet.facts([this.network.place(name).title, ...facts]),
      ...(kind ? [element("p", {}, element("strong", {}, kind), about ? `: ${about}` : "")] : []),
      ...(centre ? [] : [element("p", {}, Explorer.button("Make it the centre", () => this.#centre(name)))]),
      Sheet.parts(parts, this.setting),
    ];
  }

  #about() {
    const { edges, weak, left, centre } = this.traced;
    const count = (end) => edges.filter((edge) => edge[end] === centre).length;
    const [before, after] = [count("to"), count("from")].map((each) => Explorer.counted(each, this.called));
    const [lead, follow] = [count("to") === 1 ? "leads" : "lead", count("from") === 1 ? "follows" : "follow"];
    const hidden = weak ? ` ${weak} weaker ${weak === 1 ? "edge is" : "edges are"} hidden.` : "";
    const cut = left ? [` ${left} more ${left === 1 ? "is" : "are"} left out. `, this.#all()] : [];
    const told = `${Sheet.visible(centre)}: ${before} ${lead} to it, ${after} ${follow} from it directly.${hidden}`;
    this.status.replaceChildren(told, ...cut);
  }

  #all() {
    return Explorer.button(
      "Show all",
      () => {
        this.put("all", "1");
        this.look();
        this.tabulate();
        this.keep({ step: true });
      },
      "link-button",
    );
  }

  /** What colours and dashes mean. */
  #key() {
    const { element } = Page;
    const present = new Set([...this.traced.nodes].map((name) => this.network.node(name).kind));
    const kinds = (this.data.kinds ?? []).filter(({ name }) => present.has(name));
    const items = kinds.map(({ name, about }) =>
      element("li", { title: about }, Explorer.swatch(this.kinds.indexOf(name)), name)
    );
    const chance = this.#chance();
    const dashes = element("span", { class: "swatch-dashes", "aria-hidden": "true" });
    const dashed = chance ? [element("li", {}, dashes, `dashed: no more than chance (below ${chance})`)] : [];
    this.legend.replaceChildren(...items, ...dashed);
  }

  /** "0.31 from R6 and A7, 0.20 from M7" */
  #chance() {
    const places = [...this.network.places.values()].filter(({ chance }) => chance !== undefined);
    const least = [...new Set(places.map(({ chance }) => chance))];
    const names = (chance) => places.filter((place) => place.chance === chance).map(({ name }) => name).join(" and ");
    return least.map((chance) => `${Explorer.number(chance)} from ${names(chance)}`).join(", ");
  }

  table() {
    const column = (name) => this.network.column(name);
    const order = ({ from, to }) => column(from) * 1000 + column(to);
    const rows = [...this.traced.edges]
      .sort((a, b) => order(a) - order(b) || stronger(a, b))
      .map((edge) => {
        const look = () => this.#lookAt(edgeName(edge));
        const weight = Explorer.button(Explorer.number(edge.weight), look, "link-button");
        const chance = this.network.lattice ? [] : [this.network.weak(edge) ? "no" : "yes"];
        return [this.#end(edge.from), this.#end(edge.to), weight, ...chance];
      });
    const chance = this.network.lattice ? [] : ["beyond chance"];
    return { heads: ["From", "To", this.data.weight, ...chance], rows };
  }

  #end(name) {
    const words = Page.element("span", { class: "quiet" }, Sheet.words(this.network.node(name), 3));
    return Page.element("span", {}, this.#link(name), " ", words);
  }

  #link(name) {
    return Explorer.button(Sheet.visible(name), () => this.#lookAt(name), "link-button");
  }
}

Explorer.start(Graph);
