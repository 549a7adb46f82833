// The head map: every attention head of a model as a cell, layer by head. Point at one, or walk with the arrow keys,
// and read what it does. The data are a recorded run's: for each relation example pairs and, by measure, a score for
// each layer and head.
"use strict";

/** The recorded scores, and the questions that the page asks of them. */
class HeadScores {
  static MEASURES = {
    static: "read from the parameters",
    suppression: "suppressed, read from the parameters",
    without_context: "written when the model runs, without context",
    with_context: "written when the model runs, in context",
    shuffled: "control: answers shuffled",
  };

  constructor({ relations, shape, implements: threshold }) {
    Object.assign(this, { relations, threshold, layers: shape.layers, heads: shape.heads });
    this.measures = Object.keys(HeadScores.MEASURES).filter((measure) => measure in relations[0]);
    this.categories = [...new Set(relations.map(({ category }) => category))];
    this.letters = this.categories.map((category) => category[0].toUpperCase());
  }

  relation(name) {
    return this.relations.find((relation) => relation.name === name);
  }

  /** All relations that a head scores on, best first, by this measure. */
  ranked([layer, head], measure) {
    const score = (relation, by) => relation[by][layer][head];
    return this.relations
      .filter((relation) => this.measures.some((by) => score(relation, by) > 0))
      .sort((a, b) => score(b, measure) - score(a, measure) || score(b, "static") - score(a, "static"));
  }

  /** A head's score on the chosen relation or, where none is chosen, on its best. */
  at([layer, head], measure, chosen) {
    let best = { relation: chosen, score: chosen ? chosen[measure][layer][head] : 0 };
    if (chosen) return best;
    for (const relation of this.relations) {
      const score = relation[measure][layer][head];
      if (score > best.score) best = { relation, score };
    }
    return best;
  }

  /** Every place of the map, in reading order. */
  places() {
    return Array.from({ length: this.layers * this.heads }, (_, i) => [Math.floor(i / this.heads), i % this.heads]);
  }
}

/** The grid: a table whose cells are heads, layers along its longer side where there is room. */
class HeadGrid {
  static #CELL = 26;
  static #STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

  /** `look` is called with the place that the reader looks at, `choose` with the one he clicks. */
  constructor(holder, scores, { look, choose }) {
    Object.assign(this, { holder, scores, choose });
    this.cells = new Map();
    this.current = [0, 0];
    const place = ({ target }) => target.closest?.("[data-place]")?.dataset.place.split(".").map(Number);
    holder.addEventListener("pointerover", (event) => place(event) && look(place(event)));
    holder.addEventListener("focusin", (event) => place(event) && look(place(event), { release: true }));
    holder.addEventListener("click", (event) => place(event) && choose(place(event)));
    holder.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#fit()).observe(holder);
    this.#fit();
  }

  /** Build the table again when the room for it asks for the other way round. */
  #fit() {
    const upright = this.holder.clientWidth < (this.scores.layers + 2) * HeadGrid.#CELL;
    if (upright === this.upright) return;
    this.upright = upright;
    this.#build();
    if (this.view) this.draw(this.view);
  }

  #build() {
    const { element } = Page;
    const { layers, heads } = this.scores;
    const [across, down] = this.upright ? [heads, layers] : [layers, heads];
    const numbers = Array.from({ length: across }, (_, i) => element("th", { scope: "col" }, i));
    const rows = Array.from({ length: down }, (_, y) =>
      element("tr", {}, element("th", { scope: "row" }, y), this.#cells(y, across)),
    );
    const [column, row] = this.upright ? ["head", "layer"] : ["layer", "head"];
    const head = element("tr", {}, element("td", {}, `${row} ↓ ${column} →`), numbers);
    const label = "Attention heads; arrow keys move, Enter holds one";
    const parts = [element("thead", {}, head), element("tbody", {}, rows)];
    const shape = this.upright ? "upright" : "lying";
    this.holder.replaceChildren(
      element("table", { class: `head-grid head-grid--${shape}`, role: "grid", "aria-label": label }, parts),
    );
  }

  #cells(y, across) {
    return Array.from({ length: across }, (_, x) => {
      const place = this.upright ? [y, x] : [x, y];
      const cell = Page.element("td", { tabindex: -1, "data-place": place.join(".") });
      this.cells.set(place.join("."), cell);
      return cell;
    });
  }

  /** Colour the cells for a view: a measure and, perhaps, one relation. */
  draw(view) {
    this.view = view;
    for (const place of this.scores.places()) this.#drawCell(place, view);
    this.mark(this.current, view.held);
  }

  #drawCell(place, { measure, chosen }) {
    const { scores } = this;
    const { relation, score } = scores.at(place, measure, chosen);
    const cell = this.cells.get(place.join("."));
    const hue = relation ? scores.categories.indexOf(relation.category) : 0;
    const over = score >= scores.threshold;
    cell.dataset.hue = hue;
    cell.classList.toggle("head--over", over);
    cell.style.setProperty("--strength", `${Math.round(100 * score ** 0.7)}%`);
    cell.textContent = !over ? "" : chosen ? score.toFixed(2).replace(/^0/, "") : scores.letters[hue];
    const said = score ? `${relation.title}, ${score.toFixed(2)}` : "no score";
    cell.setAttribute("aria-label", `Layer ${place[0]}, head ${place[1]}: ${said}`);
  }

  /** Show which head is looked at, and whether it is held. */
  mark(place, held) {
    this.cells.get(this.current.join("."))?.setAttribute("tabindex", -1);
    for (const cell of this.holder.querySelectorAll("[aria-selected]")) cell.removeAttribute("aria-selected");
    this.current = place;
    const cell = this.cells.get(place.join("."));
    cell.setAttribute("tabindex", 0);
    cell.setAttribute("aria-selected", held ? "true" : "false");
  }

  #key(event) {
    const { key } = event;
    const step = HeadGrid.#STEPS[key];
    if (key === "Enter" || key === " ") {
      event.preventDefault();
      this.choose(this.current);
    } else if (step || key === "Home" || key === "End") {
      event.preventDefault();
      this.#go(step, key);
    }
  }

  #go(step, key) {
    const { layers, heads } = this.scores;
    const [down, across] = this.upright ? [layers, heads] : [heads, layers];
    let [y, x] = this.upright ? this.current : [this.current[1], this.current[0]];
    if (step) [y, x] = [y + step[0], x + step[1]];
    else x = key === "Home" ? 0 : across - 1;
    if (y < 0 || x < 0 || y >= down || x >= across) return;
    this.cells.get((this.upright ? [y, x] : [x, y]).join(".")).focus();
  }
}

/** What a head does, in words and numbers. */
class HeadPanel {
  static #AT_LEAST = 6;
  static #SHORT = {
    static: "parameters",
    suppression: "suppressed",
    without_context: "runs",
    with_context: "in context",
    shuffled: "control",
  };

  /** `pick` is called with the name of a relation that the reader wants to see on the map. */
  constructor(holder, scores, pick) {
    Object.assign(this, { holder, scores, pick });
  }

  draw(place, { measure, held }) {
    const { element } = Page;
    const ranked = this.scores.ranked(place, measure);
    const over = ranked.filter((relation) => this.#over(relation, measure, place)).length;
    const shown = Math.max(over, HeadPanel.#AT_LEAST);
    const [first, rest] = [ranked.slice(0, shown), ranked.slice(shown)];
    const opened = this.holder.querySelector("details")?.open;
    const sign = held ? element("span", { class: "head-held" }, "held") : null;
    this.holder.replaceChildren(
      element("h2", {}, `Layer ${place[0]}, head ${place[1]}`, sign),
      element("p", {}, this.#sentence(over, ranked.length, measure)),
      ...(first.length ? [this.#table(first, place)] : []),
      ...(rest.length ? [this.#more(rest, place, opened)] : []),
    );
  }

  #over(relation, measure, [layer, head]) {
    return relation[measure][layer][head] >= this.scores.threshold;
  }

  #sentence(over, all, measure) {
    if (!all) return "Scores zero on every relation here.";
    const relations = over === 1 ? "1 relation" : `${over || "no"} relations`;
    return `Reaches ${this.scores.threshold} on ${relations}, ${HeadScores.MEASURES[measure]}.`;
  }

  #more(rest, place, open) {
    const summary = Page.element("summary", {}, `${rest.length} more with a score above zero`);
    return Page.element("details", { open }, summary, this.#table(rest, place));
  }

  #table(relations, place) {
    const { element } = Page;
    const heads = this.scores.measures.map((measure) =>
      element("th", { scope: "col", title: HeadScores.MEASURES[measure] }, HeadPanel.#SHORT[measure]),
    );
    const rows = relations.map((relation) => this.#row(relation, place));
    const top = element("tr", {}, element("th", { scope: "col" }, "Relation"), heads);
    return element("table", { class: "head-scores" }, element("thead", {}, top), element("tbody", {}, rows));
  }

  #row(relation, place) {
    const { element } = Page;
    const button = element("button", { type: "button", class: "link-button" }, relation.title);
    button.addEventListener("click", () => this.pick(relation.name));
    const pairs = element("span", { class: "quiet" }, examples(relation, 2));
    const hue = this.scores.categories.indexOf(relation.category);
    const cells = this.scores.measures.map((measure) => this.#cell(relation, measure, place));
    return element("tr", {}, element("th", { scope: "row", "data-hue": hue }, button, " ", pairs), cells);
  }

  #cell(relation, measure, [layer, head]) {
    const score = relation[measure][layer][head];
    const over = this.#over(relation, measure, [layer, head]);
    const name = over ? "head-score--over" : score ? null : "head-score--none";
    return Page.element("td", { class: name, "data-label": HeadPanel.#SHORT[measure] }, score ? score.toFixed(2) : "–");
  }
}

/** Example pairs of a relation, in a line. */
const examples = (relation, most) => {
  const pairs = relation.examples.slice(0, most).map(([from, to]) => `${from} → ${to}`);
  return pairs.join(", ");
};

/** The page: pickers, grid, legend, panel and table. */
class HeadMap {
  #view = { measure: "static", chosen: undefined, held: false };

  constructor(root, scores, picked = new URLSearchParams(location.search)) {
    Object.assign(this, { root, scores });
    this.#furnish();
    this.panel = new HeadPanel(this.parts.panel, scores, (name) => this.#choose({ relation: name }));
    this.grid = new HeadGrid(this.parts.grid, scores, {
      look: (place) => this.#look(place),
      choose: (place) => this.#hold(place),
    });
    Page.restore(this.form, picked, { measure: "static" });
    this.#start(picked.get("head"));
  }

  #furnish() {
    const { element } = Page;
    this.form = element("form", { class: "filter head-pickers" }, this.#relations(), this.#measures());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.#apply());
    this.parts = {
      form: this.form,
      about: element("p", { class: "head-about", role: "status" }),
      grid: element("div", { class: "head-frame" }),
      legend: element("ul", { class: "head-legend", "aria-label": "Legend" }),
      panel: element("section", { class: "head-panel", "aria-label": "The head looked at" }),
      list: element("details", { class: "head-list" }, element("summary", {}, "As a table")),
    };
    this.parts.list.addEventListener("toggle", () => this.#list());
    this.root.replaceChildren(...Object.values(this.parts));
  }

  #relations() {
    const { element } = Page;
    const groups = this.scores.categories.map((category) => {
      const members = this.scores.relations.filter((relation) => relation.category === category);
      return element(
        "optgroup",
        { label: category },
        members.map(({ name, title }) => element("option", { value: name }, title)),
      );
    });
    const best = element("option", { value: "" }, "the best of each head");
    return element("label", {}, "Relation ", element("select", { name: "relation" }, best, groups));
  }

  #measures() {
    const { element } = Page;
    const options = this.scores.measures.map((measure) =>
      element("option", { value: measure }, HeadScores.MEASURES[measure]),
    );
    return element("label", {}, "Score ", element("select", { name: "measure" }, options));
  }

  /** Look first at the head in the address or, where there is none, at the one with the highest score. */
  #start(wanted) {
    const places = this.scores.places();
    const asked = places.find((place) => place.join(".") === wanted);
    this.#view.held = Boolean(asked);
    const score = (place) => this.scores.at(place, "static").score;
    this.place = asked ?? places.reduce((best, place) => (score(place) > score(best) ? place : best));
    this.grid.current = this.place;
    this.#apply();
  }

  #apply() {
    const { relation, measure } = this.form.elements;
    Object.assign(this.#view, { measure: measure.value, chosen: this.scores.relation(relation.value) });
    this.grid.draw(this.#view);
    this.#about();
    this.#legend();
    this.#list();
    this.#show();
  }

  #choose({ relation }) {
    this.form.elements.relation.value = relation;
    this.#apply();
    this.form.elements.relation.focus();
  }

  /** A pointer leaves a head that is held alone; the keys let go of it when they move on. */
  #look(place, { release = false } = {}) {
    if (place.join() === this.place.join() || (this.#view.held && !release)) return;
    this.#view.held = false;
    this.place = place;
    this.#show();
  }

  /** Hold on to a head, so that the pointer can leave it; the same once more lets go. */
  #hold(place) {
    this.#view.held = !(this.#view.held && this.place.join() === place.join());
    this.place = place;
    this.#show();
  }

  #show() {
    this.grid.mark(this.place, this.#view.held);
    this.panel.draw(this.place, this.#view);
    const params = Page.state(this.form, { measure: "static" });
    if (this.#view.held) params.set("head", this.place.join("."));
    Page.keep(params);
  }

  #over() {
    const { measure, chosen } = this.#view;
    const found = this.scores.places().map((place) => ({ place, ...this.scores.at(place, measure, chosen) }));
    return found.filter(({ score }) => score >= this.scores.threshold);
  }

  #about() {
    const { chosen, measure } = this.#view;
    const all = this.scores.layers * this.scores.heads;
    const over = `${this.#over().length} of ${all} heads reach ${this.scores.threshold}`;
    const what = chosen ? `on ${chosen.title}: ${examples(chosen)}` : "on at least one relation";
    this.parts.about.textContent = `${over}, ${HeadScores.MEASURES[measure]}, ${what}.`;
  }

  #legend() {
    const { element } = Page;
    const { chosen } = this.#view;
    const { categories, letters, threshold } = this.scores;
    const item = (hue, sign, text) =>
      element("li", {}, element("span", { class: "head-swatch", "data-hue": hue, "aria-hidden": "true" }, sign), text);
    const named = chosen ? [chosen.category] : categories;
    const kinds = named.map((category) => {
      const hue = categories.indexOf(category);
      return item(hue, chosen ? "" : letters[hue], category);
    });
    const ring = element("span", { class: "head-swatch head-swatch--over", "aria-hidden": "true" });
    const deep = element(
      "li",
      {},
      element("span", {
        class: "head-scale",
        "data-hue": chosen ? categories.indexOf(chosen.category) : 0,
        "aria-hidden": "true",
      }),
      "score from 0 to 1",
    );
    this.parts.legend.replaceChildren(
      ...kinds,
      deep,
      element("li", {}, ring, `${threshold} or more: the head implements it`),
    );
  }

  /** The heads over the threshold as a table, for those who would rather read. */
  #list() {
    const { element } = Page;
    const { list } = this.parts;
    list.querySelector("table")?.remove();
    if (!list.open) return;
    const names = ["Layer", "Head", "Relation", "Score"];
    const top = element(
      "tr",
      {},
      names.map((name) => element("th", { scope: "col" }, name)),
    );
    const rows = this.#over().map(({ place, relation, score }) =>
      element(
        "tr",
        {},
        [...place, relation.title, score.toFixed(2)].map((value) => element("td", {}, value)),
      ),
    );
    list.append(element("table", { class: "head-listed" }, element("thead", {}, top), element("tbody", {}, rows)));
  }
}

Page.ready(async () => {
  const root = document.getElementById("head-map");
  if (!root) return;
  const show = async (source, picked) => {
    try {
      new HeadMap(root, new HeadScores(await Page.load(source, "EXPLORER")), picked);
    } catch {
      root.replaceChildren(Page.element("p", {}, "The data did not load; the picture below shows the same."));
    }
  };
  const run = document.querySelector('.explorer-run[data-for="head-map"]');
  run?.addEventListener("input", () => show(run.value, new URLSearchParams()));
  await show(run?.value ?? root.dataset.source);
});
