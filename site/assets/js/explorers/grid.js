// @ts-check
// A grid: rows by columns of cells, each with a value for every item and measure. Point at a cell, or walk over the
// grid with the arrow keys, and read what it does; hold it with a click or Enter.
"use strict";

/** @typedef {Record<string, (number | null)[][]>} Values by measure, row by row */
/** @typedef {{name: string, title: string, group?: string, examples?: string[], values: Values}} Item */
/** @typedef {{name: string, title: string, short: string}} Measure */
/** @typedef {[number, number]} Cell row and column */
/** @typedef {{item: Item | undefined, value: number}} Best */

/** The values of a grid, and the questions that the page asks of them. */
class GridValues {
  static none() {
    return new GridValues({ items: [], measures: [], rows: { names: [] }, columns: { names: [] } });
  }

  /** @param {any} data */
  constructor({ items, measures, mark, rows, columns }) {
    this.items = /** @type {Item[]} */ (items);
    this.measures = /** @type {Measure[]} */ (measures);
    this.least = mark ? mark.from : Infinity;
    this.size = [rows.names.length, columns.names.length];
    this.groups = [...new Set(this.items.map(({ group = "" }) => group))];
    const all = this.items.flatMap(({ values }) => Object.values(values).flat(2)).map((value) => Math.abs(value ?? 0));
    this.largest = all.reduce((most, value) => Math.max(most, value), 0) || 1;
  }

  /** A cell's value; none counts as 0. @param {Item} item @param {string} measure @param {Cell} cell */
  at(item, measure, [row, column]) {
    return item.values[measure][row][column] ?? 0;
  }

  /**
   * A cell's value for the chosen item or, where none is chosen, for its best.
   * @param {Cell} cell @param {string} measure @param {Item} [chosen] @returns {Best}
   */
  best(cell, measure, chosen) {
    if (chosen) return { item: chosen, value: this.at(chosen, measure, cell) };
    const none = /** @type {Best} */ ({ item: undefined, value: 0 });
    return this.items.reduce((best, item) => {
      const value = this.at(item, measure, cell);
      return value > best.value ? { item, value } : best;
    }, none);
  }

  /** All items on which a cell has a value, best first. @param {Cell} cell @param {string} measure */
  ranked(cell, measure) {
    const first = this.measures[0].name;
    const value = (item, by) => this.at(item, by, cell);
    return this.items
      .filter((item) => this.measures.some(({ name }) => value(item, name)))
      .sort((a, b) => value(b, measure) - value(a, measure) || value(b, first) - value(a, first));
  }

  /** Every cell, in reading order. @returns {Cell[]} */
  cells() {
    const [rows, columns] = this.size;
    return Array.from({ length: rows * columns }, (_, i) => [Math.floor(i / columns), i % columns]);
  }

  /** @param {Item} [item] */
  hue(item) {
    return item ? this.groups.indexOf(item.group ?? "") : 0;
  }
}

/** The drawn grid: a table, rows along its longer side where there is room. */
class GridTable {
  /** @type {Map<string, HTMLElement>} */ cells = new Map();
  /** @type {Cell} */ current = [0, 0];
  /** @type {boolean | undefined} whether rows run down; undefined until there is a table */ upright;
  values = GridValues.none();
  /** @type {any} */ data;

  static #CELL = 26;
  static #STEPS = new Map([["ArrowRight", [0, 1]], ["ArrowLeft", [0, -1]], ["ArrowDown", [1, 0]], ["ArrowUp", [
    -1,
    0,
  ]]]);

  /**
   * @param {(cell: Cell, how: {keys: boolean}) => void} look @param {(cell: Cell) => void} hold
   * @param {() => void} turned
   */
  constructor(look, hold, turned) {
    this.hold = hold;
    this.holder = Page.element("div", { class: "grid-frame" });
    const cell = ({ target }) => target.closest?.("[data-cell]")?.dataset.cell.split(".").map(Number);
    this.holder.addEventListener("pointerover", (event) => cell(event) && look(cell(event), { keys: false }));
    this.holder.addEventListener("focusin", (event) => cell(event) && look(cell(event), { keys: true }));
    this.holder.addEventListener("click", (event) => cell(event) && hold(cell(event)));
    this.holder.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.fit() && turned()).observe(this.holder);
  }

  /** @param {GridValues} values @param {any} data */
  take(values, data) {
    Object.assign(this, { values, data, upright: undefined, current: [0, 0] });
  }

  /** Build the table again when the room for it asks for the other way round; tells whether it did. */
  fit() {
    const [rows] = this.values.size;
    const upright = this.holder.clientWidth < (rows + 2) * GridTable.#CELL;
    if (!rows || upright === this.upright) return false;
    this.upright = upright;
    this.#build();
    return true;
  }

  #build() {
    const { element } = Page;
    const { rows: lines, columns, cell } = this.data;
    const [across, down] = this.upright ? [columns, lines] : [lines, columns];
    this.cells = new Map();
    const heads = across.names.map((name) => element("th", { scope: "col" }, name));
    const rows = down.names.map((name, y) =>
      element("tr", {}, element("th", { scope: "row" }, name), this.#line(y, heads.length))
    );
    const top = element("tr", {}, element("td", {}, `${down.title} ↓ ${across.title} →`), heads);
    const label = `All ${cell.many}; arrow keys move, Enter holds one`;
    const name = `grid-table${this.upright ? " grid-table--upright" : ""}`;
    const parts = [element("thead", {}, top), element("tbody", {}, rows)];
    this.holder.replaceChildren(element("table", { class: name, role: "grid", "aria-label": label }, parts));
  }

  #line(y, length) {
    return Array.from({ length }, (_, x) => {
      const at = (this.upright ? [y, x] : [x, y]).join(".");
      const cell = Page.element("td", { tabindex: -1, "data-cell": at });
      this.cells.set(at, cell);
      return cell;
    });
  }

  /** @param {Cell} place */
  #cell(place) {
    return /** @type {HTMLElement} */ (this.cells.get(place.join(".")));
  }

  /**
   * Colour every cell.
   * @param {(cell: Cell) => {value: number, hue: number, text: string, said: string, over: boolean}} tell
   */
  draw(tell) {
    for (const place of this.values.cells()) {
      const { value, hue, text, said, over } = tell(place);
      const cell = this.#cell(place);
      cell.dataset.hue = value < 0 ? "down" : String(hue);
      cell.classList.toggle("grid-over", over);
      cell.style.setProperty("--strength", `${Math.round(100 * (Math.abs(value) / this.values.largest) ** 0.7)}%`);
      cell.textContent = text;
      cell.setAttribute("aria-label", said);
    }
  }

  /** Show which cell is looked at, and whether it is held. @param {Cell} place @param {boolean} held */
  mark(place, held) {
    this.#cell(this.current).tabIndex = -1;
    for (const cell of this.holder.querySelectorAll("[aria-selected]")) cell.removeAttribute("aria-selected");
    this.current = place;
    this.#cell(place).tabIndex = 0;
    this.#cell(place).setAttribute("aria-selected", String(held));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key } = event;
    const step = GridTable.#STEPS.get(key);
    const turns = key === "Enter" || key === " ";
    if (!turns && !step && key !== "Home" && key !== "End") return;
    event.preventDefault();
    if (turns) this.hold(this.current);
    else this.#go(step, key);
  }

  #go(step, key) {
    const [rows, columns] = this.values.size;
    const [down, across] = this.upright ? [rows, columns] : [columns, rows];
    let [y, x] = this.upright ? this.current : [...this.current].reverse();
    if (step) [y, x] = [y + step[0], x + step[1]];
    else x = key === "Home" ? 0 : across - 1;
    if (y < 0 || x < 0 || y >= down || x >= across) return;
    this.#cell(this.upright ? [y, x] : [x, y]).focus();
  }
}

/** The page: choices, grid, legend, and what is known of the cell that is looked at. */
class Grid extends Explorer {
  values = GridValues.none();
  /** @type {Cell} the one that is looked at */ cell = [0, 0];

  static #AT_LEAST = 6;

  /** @param {HTMLElement} root */
  constructor(root) {
    super(root);
    this.grid = new GridTable(
      (cell, { keys }) => this.#look(cell, keys),
      (cell) => this.#hold(cell),
      () => this.draw(),
    );
    this.legend = Page.element("ul", { class: "legend", "aria-label": "Legend" });
    this.panel = Page.element("section", { class: "panel-box panel-box--stays", "aria-label": "The one looked at" });
  }

  take() {
    this.values = new GridValues(this.data);
    this.grid.take(this.values, this.data);
  }

  fields() {
    const { item, measures } = this.data;
    const best = this.values.items.length > 1 ? [Explorer.option("", `the best of each ${this.data.cell.one}`)] : [];
    return [
      Explorer.choice(Grid.#capital(item.one), "item", [...best, ...this.#items()]),
      Explorer.choice("Value", "measure", measures.map(({ name, title }) => Explorer.option(name, title))),
    ];
  }

  /** The items, by group. */
  #items() {
    return this.values.groups.flatMap((group) => {
      const members = this.values.items.filter((item) => (item.group ?? "") === group);
      const options = members.map(({ name, title }) => Explorer.option(name, title));
      return group ? [Page.element("optgroup", { label: group }, options)] : options;
    });
  }

  parts() {
    return [this.status, this.grid.holder, this.legend, this.panel];
  }

  /** The cell in the address is held; where there is none, the one with the largest value is looked at first. */
  restore(params) {
    super.restore(params);
    const cells = this.values.cells();
    const asked = cells.find((cell) => cell.join(".") === this.value("at"));
    if (!asked) this.put("at", "");
    const value = (cell) => this.values.best(cell, this.values.measures[0].name).value;
    this.cell = asked ?? cells.reduce((best, cell) => (value(cell) > value(best) ? cell : best));
  }

  get #held() {
    return this.value("at") !== "";
  }

  get #view() {
    const chosen = this.values.items.find(({ name }) => name === this.value("item"));
    return {
      chosen,
      measure: /** @type {Measure} */ (this.values.measures.find(({ name }) => name === this.value("measure"))),
    };
  }

  draw() {
    this.grid.fit();
    this.grid.draw((cell) => this.#tell(cell));
    this.#about();
    this.#key();
    this.#show();
  }

  /** What a cell shows, and what it says to those who do not see it. @param {Cell} cell */
  #tell(cell) {
    const { chosen, measure } = this.#view;
    const { item, value } = this.values.best(cell, measure.name, chosen);
    const over = value >= this.values.least;
    const number = Explorer.number(value).replace(/^(−?)0/, "$1");
    const text = !over ? "" : chosen ? number : this.#letter(item);
    const said = value && item ? `${item.title}, ${Explorer.number(value)}` : "no value";
    return { value, hue: this.values.hue(item), text, over, said: `${this.#named(cell)}: ${said}` };
  }

  #letter(item) {
    return (item?.group ?? "")[0]?.toUpperCase() ?? "";
  }

  /** @param {Cell} cell */
  #named([row, column]) {
    const { rows, columns } = this.data;
    return Grid.#capital(`${rows.title} ${rows.names[row]}, ${columns.title} ${columns.names[column]}`);
  }

  static #capital(text) {
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  /**
   * A pointer leaves a cell that is held alone; the keys let go of it when they move on.
   * @param {Cell} cell @param {boolean} keys
   */
  #look(cell, keys) {
    if (cell.join() === this.cell.join() || (this.#held && !keys)) return;
    this.#turn(cell, false);
  }

  /** Hold on to a cell, so that the pointer can leave it; the same once more lets go. @param {Cell} cell */
  #hold(cell) {
    this.#turn(cell, this.value("at") !== cell.join("."));
  }

  /** @param {Cell} cell @param {boolean} held */
  #turn(cell, held) {
    this.cell = cell;
    this.put("at", held ? cell.join(".") : "");
    this.#show();
    this.keep();
  }

  #show() {
    const { element } = Page;
    const { cell } = this;
    const { measure } = this.#view;
    this.grid.mark(cell, this.#held);
    const ranked = this.values.ranked(cell, measure.name);
    const over = ranked.filter((item) => this.#over(item, measure.name)).length;
    const shown = Math.max(over, Grid.#AT_LEAST);
    const open = this.panel.querySelector("details")?.open;
    this.panel.replaceChildren(
      element("h2", {}, this.#named(cell), this.#held ? element("span", { class: "badge" }, "held") : null),
      element("p", { class: "quiet" }, this.#sentence(over, ranked.length, measure)),
      ...(ranked.length ? [this.#scores(ranked.slice(0, shown))] : []),
      ...(ranked.length > shown ? [this.#more(ranked.slice(shown), open)] : []),
    );
  }

  /** @param {Item} item @param {string} measure */
  #over(item, measure) {
    return this.values.at(item, measure, this.cell) >= this.values.least;
  }

  /** @param {number} over @param {number} all @param {Measure} measure */
  #sentence(over, all, { title }) {
    const { item, mark } = this.data;
    if (!all) return `No value for any ${item.one} here.`;
    if (!mark) return `${Explorer.counted(all, item)} with a value here, ${title} first.`;
    return `Reaches ${mark.from} on ${Explorer.counted(over, item)}, ${title}.`;
  }

  /** @param {Item[]} rest @param {boolean | undefined} open */
  #more(rest, open) {
    const summary = Page.element("summary", {}, `${rest.length} more with a value`);
    return Page.element("details", { open }, summary, this.#scores(rest));
  }

  /** @param {Item[]} items */
  #scores(items) {
    const { element } = Page;
    const heads = this.values.measures.map(({ title, short }) => element("th", { scope: "col", title }, short));
    const top = element("tr", {}, element("th", { scope: "col" }, Grid.#capital(this.data.item.one)), heads);
    const body = items.map((item) => this.#row(item));
    return element("table", { class: "plain grid-scores" }, element("thead", {}, top), element("tbody", {}, body));
  }

  /** @param {Item} item */
  #row(item) {
    const { element } = Page;
    const button = Explorer.button(item.title, () => this.#choose(item.name), "link-button");
    const examples = element("span", { class: "quiet" }, (item.examples ?? []).slice(0, 2).join(", "));
    const values = this.values.measures.map(({ name, short }) => {
      const value = this.values.at(item, name, this.cell);
      const look = this.#over(item, name) ? "over" : value ? null : "none";
      return element("td", { class: look, "data-label": short }, value ? Explorer.number(value) : "–");
    });
    return element(
      "tr",
      {},
      element("th", { scope: "row", "data-hue": this.values.hue(item) }, button, " ", examples),
      values,
    );
  }

  #choose(name) {
    this.put("item", name);
    this.redraw();
    this.keep({ step: true });
    this.field("item").focus();
  }

  #marked() {
    const { chosen, measure } = this.#view;
    const least = this.data.mark ? this.values.least : Number.MIN_VALUE;
    const found = this.values.cells().map((cell) => ({ cell, ...this.values.best(cell, measure.name, chosen) }));
    return found.filter(({ value }) => value >= least);
  }

  #about() {
    const { chosen, measure } = this.#view;
    const { cell, item, mark } = this.data;
    const [rows, columns] = this.values.size;
    const verb = mark ? `reach ${mark.from}` : "have a value above 0";
    const over = `${this.#marked().length} of ${rows * columns} ${cell.many} ${verb}, ${measure.title}`;
    const examples = chosen?.examples?.length ? `: ${chosen.examples.join(", ")}` : "";
    this.status.textContent = `${over}, ${chosen ? `on ${chosen.title}${examples}` : `on at least one ${item.one}`}.`;
  }

  /** What colours, depth and frames mean. */
  #key() {
    const { element } = Page;
    const { chosen } = this.#view;
    const groups = (chosen ? [chosen.group ?? ""] : this.values.groups).filter(Boolean);
    const named = groups.map((group) => {
      const sign = chosen ? "" : group[0].toUpperCase();
      return element("li", {}, Explorer.swatch(this.values.groups.indexOf(group), sign), group);
    });
    const scale = Explorer.swatch(this.values.hue(chosen), "", "swatch-scale");
    const deep = element("li", {}, scale, `value from 0 to ${Explorer.written(this.values.largest)}`);
    const { mark } = this.data;
    const ring = element("span", { class: "swatch swatch--over", "aria-hidden": "true" });
    const framed = mark ? [element("li", {}, ring, `${mark.from} or more: ${mark.says}`)] : [];
    this.legend.replaceChildren(...named, deep, ...framed);
  }

  table() {
    const { rows, columns, item } = this.data;
    const heads = [rows.title, columns.title, item.one, "value"].map(Grid.#capital);
    const body = this.#marked().map(({ cell: [row, column], item: best, value }) => [
      rows.names[row],
      columns.names[column],
      best?.title ?? "–",
      Explorer.number(value),
    ]);
    return { heads, rows: body };
  }
}

Explorer.start(Grid);
