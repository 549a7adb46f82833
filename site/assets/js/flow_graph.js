// The flow graph explorer: choose a feature of a window of layers and see which features of earlier sites it comes
// from, and which of later sites it goes to, with the cosine of the two directions on each edge.
"use strict";

/** The features of a window and the edges between them. */
class FlowWindow {
  static #THRESHOLDS = { R: "resid", M: "mlp", A: "attn" }; // by the site that an edge comes from

  constructor(recorded, threshold) {
    Object.assign(this, { name: recorded.name, key: recorded.layers.join("-"), threshold });
    this.sites = new Map(recorded.sites.map((site) => [site.id, site]));
    this.columns = Array.from({ length: 1 + Math.max(...recorded.sites.map(({ column }) => column)) }, (_, column) =>
      recorded.sites.filter((site) => site.column === column),
    );
    this.nodes = new Map(recorded.nodes.map((node) => [node.id, node]));
    this.seeds = recorded.seeds.filter((id) => this.nodes.has(id));
    const known = recorded.edges.filter(({ from, to }) => this.nodes.has(from) && this.nodes.has(to));
    this.into = FlowWindow.#by(known, "to");
    this.out = FlowWindow.#by(known, "from");
  }

  static #by(edges, end) {
    const found = new Map();
    for (const edge of edges) found.set(edge[end], [...(found.get(edge[end]) ?? []), edge]);
    return found;
  }

  /** What a feature is searched by; there are thousands, so this waits until someone searches. */
  #words(id) {
    const { kind, promoted, suppressed, contexts, words } = this.nodes.get(id);
    if (words !== undefined) return words;
    const texts = (contexts ?? []).map(({ tokens }) => tokens.join(""));
    const all = [id, kind ?? "", ...(promoted ?? []), ...(suppressed ?? []), ...texts].join(" ");
    return (this.nodes.get(id).words = Page.fold(all));
  }

  site(id) {
    return this.sites.get(this.nodes.get(id).site);
  }

  column(id) {
    return this.site(id).column;
  }

  /** The cosine below which an edge is no more than chance. */
  least({ from }) {
    return this.threshold[FlowWindow.#THRESHOLDS[this.site(from).id[0]]] ?? 0;
  }

  /** The seeds that fit; where words are looked for, any feature that has them, seeds first. */
  fitting({ words, kind }) {
    const wanted = Page.words(words ?? "");
    const all = wanted.length ? [...new Set([...this.seeds, ...this.nodes.keys()])] : this.seeds;
    const fits = (id) => wanted.every((word) => this.#words(id).includes(word));
    return all.filter((id) => (!kind || this.nodes.get(id).kind === kind) && fits(id));
  }

  /** What leads to a feature and what follows from it, over edges that `shows` lets through; at most so many a column. */
  trace(centre, shows, most) {
    const middle = this.column(centre);
    const columns = [...this.columns.keys()];
    const traced = { centre, nodes: new Set([centre]), edges: [], weak: 0, left: 0 };
    this.#reach(traced, this.into, "from", columns.slice(0, middle).reverse(), shows, most);
    this.#reach(traced, this.out, "to", columns.slice(middle + 1), shows, most);
    return traced;
  }

  #reach(traced, edges, far, columns, shows, most) {
    const reached = new Set([traced.centre]);
    for (const column of columns) {
      const leading = [...reached]
        .flatMap((id) => edges.get(id) ?? [])
        .filter((edge) => this.column(edge[far]) === column);
      const shown = leading.filter(shows).sort((a, b) => b.score - a.score);
      const found = [...new Set(shown.map((edge) => edge[far]))];
      const kept = new Set(found.slice(0, most));
      traced.weak += leading.length - shown.length;
      traced.left += found.length - kept.size;
      traced.edges.push(...shown.filter((edge) => kept.has(edge[far])));
      for (const id of kept) reached.add(id) && traced.nodes.add(id);
    }
  }
}

/** The page: window, list, graph, legend, panel and table. */
class FlowGraph {
  static #MOST = 8; // features a column, until the reader asks for all
  static #LISTED = 200;
  static #PADDING = 12; // of the frame, both sides, as the style sheet has it
  static #EDGES = [
    ["", "above chance"],
    ["all", "all"],
    ["0.4", "0.40 or more"],
    ["0.6", "0.60 or more"],
    ["0.8", "0.80 or more"],
  ];

  constructor(root, { threshold, kinds, windows }) {
    Object.assign(this, { root, kinds, threshold, most: FlowGraph.#MOST });
    this.windows = windows.map((recorded) => new FlowWindow(recorded, threshold));
    this.list = new FeatureList("Features to start from", {
      describe: (id) => this.#describe(id),
      choose: (id, { clicked }) => this.#trace(id, { step: clicked, bring: clicked }),
    });
    this.#furnish();
    this.panel = new FlowPanel(this.parts.panel, (id) => this.#trace(id, { step: true, focus: true }));
    new ResizeObserver(() => this.#resize()).observe(this.parts.frame);
    this.follow();
  }

  get defaults() {
    return { window: this.windows[0].key };
  }

  #furnish() {
    const { element } = Page;
    this.form = element(
      "form",
      { class: "filter feature-form", role: "search", "aria-label": "Features" },
      this.#fields(),
    );
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", ({ target }) => this.#changed(target.name));
    this.form.elements.words.addEventListener("keydown", (event) => this.#intoList(event));
    this.parts = {
      about: element("p", { class: "head-about", role: "status" }),
      frame: element("div", { class: "flow-frame" }),
      legend: element("ul", { class: "head-legend", "aria-label": "Legend" }),
      panel: element("section", { class: "head-panel flow-panel", tabindex: 0, "aria-label": "The feature looked at" }),
      list: element("details", { class: "head-list" }, element("summary", {}, "The edges as a list")),
    };
    this.#listen(this.parts.frame);
    this.count = element("p", { class: "filter-count", role: "status" });
    this.form.append(this.count);
    const main = element("div", { class: "feature-main" }, Object.values(this.parts));
    this.root.replaceChildren(this.form, element("div", { class: "feature-explorer" }, this.list.holder, main));
  }

  #fields() {
    const windows = this.windows.map(({ key, name }) => [key, name]);
    return Page.element(
      "div",
      { class: "filter-row" },
      Feature.choice("Window", "window", windows),
      Page.element("label", { class: "filter-text" }, Feature.search("Words, tokens or a name")),
      Feature.choice("Kind", "kind", [["", "all"], ...this.kinds.map((kind) => [kind, kind])]),
      Feature.choice("Edges", "edges", FlowGraph.#EDGES),
    );
  }

  #listen(frame) {
    const at = ({ target }) => target.closest?.("[data-node]")?.dataset.node;
    frame.addEventListener("click", (event) => at(event) && this.#press(at(event)));
    frame.addEventListener("keydown", (event) => {
      const id = at(event);
      if (!id || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key !== "Enter" && event.key !== " " && !event.key.startsWith("Arrow")) return;
      event.preventDefault();
      if (!event.key.startsWith("Arrow")) this.#press(id);
      else this.drawing.focus(this.drawing.next(id, event.key));
    });
  }

  #describe(id) {
    const { kind, promoted } = this.window.nodes.get(id);
    return { name: id, note: kind, words: Feature.inLine(promoted, 4) };
  }

  /** Show what the address says: at the start, and when the reader goes back. */
  follow() {
    const params = new URLSearchParams(location.search);
    Page.restore(this.form, params, this.defaults);
    const id = Feature.wanted();
    const chosen = this.#chosenWindow();
    const holding = chosen.nodes.has(id) ? chosen : this.windows.find(({ nodes }) => nodes.has(id));
    this.window = holding ?? chosen;
    this.form.elements.window.value = this.window.key;
    this.missing = id && !holding ? id : null;
    this.#list();
    this.#draw(holding ? id : this.#first());
  }

  keep(options) {
    Feature.keep(this.form, this.defaults, this.missing ?? this.centre, options);
  }

  #chosenWindow() {
    return this.windows.find(({ key }) => key === this.form.elements.window.value);
  }

  #first() {
    return this.fitting[0] ?? this.window.seeds[0] ?? this.window.nodes.keys().next().value;
  }

  #changed(name) {
    this.window = this.#chosenWindow();
    if (name === "window") this.missing = null;
    this.#list();
    if (name === "window") this.#draw(this.window.nodes.has(this.centre) ? this.centre : this.#first());
    if (name === "edges") this.#draw(this.centre, this.shown);
    this.keep({ step: name === "window" });
  }

  #list() {
    this.fitting = this.window.fitting(Object.fromEntries(new FormData(this.form)));
    this.list.draw(this.fitting.slice(0, FlowGraph.#LISTED), this.centre);
    const [some, searched] = [this.fitting.length, this.form.elements.words.value.trim()];
    const all = searched ? this.window.nodes.size : this.window.seeds.length;
    const counted = `${some === all ? "" : `${some} of `}${all} features${searched ? "" : " to start from"}`;
    const cut = some > FlowGraph.#LISTED ? `, the first ${FlowGraph.#LISTED} listed` : "";
    const lost = this.missing ? `. This run has no feature “${Feature.visible(this.missing)}”.` : "";
    this.count.textContent = `${counted}${cut}${lost}`;
  }

  /** Make a feature the centre. */
  #trace(id, { step = false, focus = false, bring = false } = {}) {
    this.missing = null;
    this.most = FlowGraph.#MOST;
    this.#draw(id);
    this.#list();
    this.keep({ step });
    if (focus) this.drawing.focus(id);
    if (bring) Feature.bring(this.parts.about.parentElement);
  }

  /** Look at a node; once more, and it becomes the centre. */
  #press(id) {
    if (id === this.shown && id !== this.centre) this.#trace(id, { step: true, focus: true });
    else this.#show(id);
  }

  #noisy = (edge) => edge.score < this.window.least(edge);

  #shows = (edge) => {
    const { value } = this.form.elements.edges;
    return value === "all" || (value ? edge.score >= Number(value) : !this.#noisy(edge));
  };

  #draw(id, shown = id) {
    if (id === undefined) return;
    this.centre = id;
    this.traced = this.window.trace(id, this.#shows, this.most);
    this.#redraw(this.traced.nodes.has(shown) ? shown : id);
    this.#about();
    this.#legend();
    this.#table();
    this.list.mark(id);
  }

  #redraw(shown) {
    this.width = this.parts.frame.clientWidth;
    const layout = new FlowLayout(this.window, this.traced, this.width - FlowGraph.#PADDING);
    this.drawing = new FlowDrawing(this.traced, layout, { kinds: this.kinds, noisy: this.#noisy, shown });
    this.parts.frame.replaceChildren(this.drawing.svg);
    this.#centre(layout.box(this.centre));
    this.#show(shown);
  }

  /** Where the graph is wider than the window, begin at its centre. */
  #centre({ x, width }) {
    const { frame } = this.parts;
    frame.scrollLeft = x + width / 2 - frame.clientWidth / 2;
  }

  #resize() {
    if (this.centre && this.parts.frame.clientWidth !== this.width) this.#redraw(this.shown);
  }

  #show(id) {
    this.shown = id;
    this.drawing.mark(id);
    this.panel.draw(this.window, id, this.centre);
  }

  #about() {
    const { about } = this.parts;
    const { edges, weak, left } = this.traced;
    const [before, after] = [
      ["to", "lead to"],
      ["from", "follow from"],
    ].map(([end, verb]) => {
      const count = edges.filter((edge) => edge[end] === this.centre).length;
      return `${count || "no"} ${count === 1 ? `feature ${verb.replace(/^\w+/, "$&s")}` : `features ${verb}`}`;
    });
    const hidden = weak ? ` ${weak} weaker ${weak === 1 ? "edge is" : "edges are"} hidden.` : "";
    about.replaceChildren(`${Feature.visible(this.centre)}: ${before} it, ${after} it directly.${hidden}`);
    if (left) about.append(` ${left} more ${left === 1 ? "feature is" : "features are"} left out. `, this.#all());
  }

  #all() {
    const button = Page.element("button", { type: "button", class: "link-button" }, "Show all");
    button.addEventListener("click", () => {
      this.most = Infinity;
      this.#draw(this.centre, this.shown);
    });
    return button;
  }

  #legend() {
    const { element } = Page;
    const present = this.kinds.filter((kind) =>
      [...this.traced.nodes].some((id) => this.window.nodes.get(id).kind === kind),
    );
    const items = present.map((kind) => {
      const swatch = element("span", {
        class: "head-swatch",
        "data-hue": this.kinds.indexOf(kind),
        "aria-hidden": "true",
      });
      return element("li", { title: FlowPanel.KINDS[kind] }, swatch, kind);
    });
    const { resid, mlp, attn } = this.threshold;
    const [r, m, a] = [resid, mlp, attn].map((value) => Feature.number(value));
    const dashed = element("span", { class: "flow-dashes", "aria-hidden": "true" });
    const said = `dashed: no more than chance (below ${r} from the residual stream, ${m} from an MLP, ${a} from attention)`;
    this.parts.legend.replaceChildren(...items, element("li", {}, dashed, said));
  }

  /** The same in words, for those who would rather read. */
  #table() {
    const { element } = Page;
    const heads = ["From", "To", "Cosine", "Beyond chance"].map((name) => element("th", { scope: "col" }, name));
    const order = (edge) => this.window.column(edge.from) * 100 + this.window.column(edge.to) - edge.score;
    const rows = [...this.traced.edges]
      .sort((a, b) => order(a) - order(b))
      .map((edge) => {
        const cells = [Feature.number(edge.score), this.#noisy(edge) ? "no" : "yes"];
        return element(
          "tr",
          {},
          this.#end(edge.from),
          this.#end(edge.to),
          cells.map((text) => element("td", {}, text)),
        );
      });
    this.parts.list.querySelector("table")?.remove();
    const top = element("thead", {}, element("tr", {}, heads));
    this.parts.list.append(element("table", { class: "head-listed flow-listed" }, top, element("tbody", {}, rows)));
  }

  #end(id) {
    const { element } = Page;
    const button = element("button", { type: "button", class: "link-button" }, Feature.visible(id));
    button.addEventListener("click", () => this.#show(id));
    const words = element("span", { class: "quiet" }, Feature.inLine(this.window.nodes.get(id).promoted, 3));
    return element("td", {}, button, " ", words);
  }

  #intoList(event) {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    this.list.enter();
  }
}

Feature.explore("flow-graph", (root, data) => new FlowGraph(root, data));
