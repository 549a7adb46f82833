// @ts-check
// What every explorer does: takes the data of a run, keeps every choice in a form and the form in the address, draws
// what the form says, and gives the same as a table. A kind says which fields, which parts, and how they are drawn.
"use strict";

/** @typedef {{one: string, many: string}} Counted */
/** @typedef {{heads: string[], rows: (string | number | Node)[][]}} Table */

class Explorer {
  static #LOST = "The data of this run did not load. Try again, or take them as a file: the link is below.";
  static #BROKEN =
    "The data of this run are not what this page draws, so nothing is shown. The link below leads to them.";

  /** @type {any} the data of the run that is shown */ data;

  /** Open the page's explorer, when the page is ready. @param {new (root: HTMLElement) => Explorer} Kind */
  static start(Kind) {
    Page.ready(() => {
      const root = document.getElementById("explorer");
      if (root) new Kind(root).follow();
    });
  }

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.form = /** @type {HTMLFormElement} */ (root.querySelector("form"));
    /** @type {string | undefined} whose data are shown, and whose are wanted */ this.source = undefined;
    /** @type {string | undefined} */ this.wanted = undefined;
    this.view = /** @type {HTMLElement} */ (root.querySelector(".explorer-view"));
    this.row = /** @type {HTMLElement} */ (this.form.querySelector(".filter-row"));
    this.status = Page.element("p", { class: "explorer-status", role: "status" });
    this.fold = Page.element("details", { class: "explorer-table" }, Page.element("summary", {}, "As a table"));
    this.#listen();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", ({ target }) => this.#input(/** @type {HTMLInputElement} */ (target)));
    this.fold.addEventListener("toggle", () => {
      this.put("table", this.fold.open ? "1" : "");
      this.tabulate();
      this.keep();
    });
    addEventListener("popstate", () => this.follow());
  }

  // What a kind gives

  /** Understand the data of a run. */
  take() {}

  /** The fields of its form. @returns {Node[]} */
  fields() {
    return [];
  }

  /** What stands below the form. @returns {Node[]} */
  parts() {
    return [];
  }

  /** Draw what the form says. */
  draw() {}

  /** What is drawn, as a table. @returns {Table} */
  table() {
    return { heads: [], rows: [] };
  }

  // The form, and the address

  /** A field of the form. @param {string} name @returns {any} */
  field(name) {
    return this.form.elements.namedItem(name);
  }

  /** What a field says. @param {string} name @returns {string} */
  value(name) {
    return this.field(name).value;
  }

  /** Set a field. @param {string} name @param {string} value */
  put(name, value) {
    this.field(name).value = value;
  }

  /** What fields say on a first visit: selects their first option, sliders their lowest value, all else nothing. */
  get #defaults() {
    const fields = /** @type {any[]} */ ([...this.form.elements]).filter(({ name }) => name);
    return Object.fromEntries(fields.map((field) => [field.name, field.options?.[0]?.value ?? field.min ?? ""]));
  }

  /** Every choice, as it stands in the address. @returns {URLSearchParams} */
  state() {
    return Page.state(this.form, this.#defaults);
  }

  /** Take the choices from an address. @param {URLSearchParams} params */
  restore(params) {
    Page.restore(this.form, params, this.#defaults);
  }

  /** Put the choices into the address, as a step that the reader can take back or not. */
  keep({ step = false } = {}) {
    Page.keep(this.state(), { step });
  }

  /** A link to the same with another thing chosen. @param {string} at */
  link(at) {
    const params = this.state();
    params.set("at", at);
    return `?${params}`;
  }

  /** Show what the address says: at the start, and when the reader goes back. */
  follow() {
    return this.#show(new URLSearchParams(location.search));
  }

  /** @param {HTMLInputElement} field */
  #input(field) {
    const step = !["search", "range"].includes(field.type);
    if (field.name === "run") return this.#show(this.state()).then(() => this.keep({ step }));
    this.changed(field.name);
    return this.keep({ step });
  }

  /** The reader has changed a field. @param {string} _name */
  changed(_name) {
    this.redraw();
  }

  redraw() {
    this.draw();
    this.tabulate();
  }

  // The run, and its data

  /** @param {URLSearchParams} params */
  async #show(params) {
    Page.restore(this.form, params, this.#defaults);
    const { source, file } = this.field("run").selectedOptions[0].dataset;
    const below = /** @type {HTMLAnchorElement | null} */ (document.getElementById("explorer-data"));
    if (below) below.href = file;
    this.wanted = source;
    const data = source === this.source ? this.data : await Explorer.#load(source);
    if (source !== this.wanted) return;
    if (data === null) this.#say(Explorer.#LOST);
    else this.#attempt(data, source, params);
  }

  /** The data that a script leaves; null where it did not load. @param {string} source */
  static #load(source) {
    return Page.load(source, "EXPLORER").catch(() => null);
  }

  /** @param {any} data @param {string} source @param {URLSearchParams} params */
  #attempt(data, source, params) {
    try {
      if (source !== this.source) this.#furnish(data);
      this.source = source;
      this.restore(params);
      this.fold.open = this.value("table") === "1";
      this.redraw();
    } catch (error) {
      console.error(error);
      this.#say(Explorer.#BROKEN);
    }
  }

  /** @param {any} data */
  #furnish(data) {
    if (data?.kind !== this.root.dataset.kind) throw new TypeError(`not the data of a ${this.root.dataset.kind}`);
    this.data = data;
    this.take();
    const run = /** @type {HTMLElement} */ (this.row.firstElementChild);
    this.row.replaceChildren(run, ...this.fields());
    this.form.hidden = [...this.row.children].every((field) => field.hasAttribute("hidden"));
    this.view.replaceChildren(...this.parts(), this.fold);
  }

  /** Say why there is nothing to see; what could be chosen goes, but for the run. @param {string} why */
  #say(why) {
    this.source = undefined;
    this.row.replaceChildren(/** @type {HTMLElement} */ (this.row.firstElementChild));
    this.view.replaceChildren(Page.element("p", { class: "explorer-lost", role: "alert" }, why));
  }

  /** Make the table anew, where it is unfolded. */
  tabulate() {
    this.fold.querySelector(".table-scroll")?.remove();
    if (!this.fold.open || !this.source) return;
    const { heads, rows } = this.table();
    this.fold.append(Explorer.scrolled("The same as a table", Explorer.grid(heads, rows)));
  }

  // What kinds are built of

  /** A table that scrolls by itself where it is too wide. @param {string} label @param {Node} table */
  static scrolled(label, table) {
    return Page.element("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  }

  /** A plain table. @param {string[]} heads @param {(string | number | Node)[][]} rows */
  static grid(heads, rows) {
    const { element } = Page;
    const top = heads.map((head) => element("th", { scope: "col" }, head));
    const body = rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))));
    return element(
      "table",
      { class: "plain" },
      element("thead", {}, element("tr", {}, top)),
      element("tbody", {}, body),
    );
  }

  /**
   * A labelled choice, hidden where there is nothing to choose.
   * @param {string} label @param {string} name @param {Node[]} options
   */
  static choice(label, name, options) {
    const select = Page.element("select", { name }, options);
    return Page.element("label", { hidden: select.options.length < 2 }, `${label} `, select);
  }

  /** @param {string | number} value @param {string | number} [text] */
  static option(value, text = value) {
    return Page.element("option", { value }, text);
  }

  /** A choice that is made elsewhere on the page. @param {string} name */
  static hidden(name) {
    return Page.element("input", { type: "hidden", name });
  }

  /** @param {string} text @param {() => void} act @param {string} [name] */
  static button(text, act, name = "button") {
    const made = Page.element("button", { type: "button", class: name }, text);
    made.addEventListener("click", act);
    return made;
  }

  /**
   * A patch of colour, of which the text beside it says what it stands for.
   * @param {number} hue @param {string} [sign]
   */
  static swatch(hue, sign = "", name = "swatch") {
    return Page.element("span", { class: name, "data-hue": hue, "aria-hidden": "true" }, sign);
  }

  static #NUMBERS = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  static #SMALL = new Intl.NumberFormat("en", { maximumSignificantDigits: 2, notation: "scientific" });
  static #RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  /**
   * A number with the digits that count: `0.5`, `1,700`, `−1.1×10⁻⁵`; a dash where there is none.
   * @param {number | null | undefined} value
   */
  static written(value) {
    if (typeof value !== "number" || !Number.isFinite(value)) return "–";
    if (value && Math.abs(value) < 1e-4) return Explorer.#small(value);
    return Explorer.#NUMBERS.format(value).replace("-", "−");
  }

  /** @param {number} value */
  static #small(value) {
    const [factor, power] = Explorer.#SMALL.format(value).split("E-");
    return `${factor.replace("-", "−")}×10⁻${[...power].map((digit) => Explorer.#RAISED[Number(digit)]).join("")}`;
  }

  /** A number as people read it, a dash where there is none. @param {number | null | undefined} value */
  static number(value, digits = 2) {
    return typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits).replace(/^-/, "−") : "–";
  }

  /** "1 head", "2 heads", "no heads". @param {number} count @param {Counted} named */
  static counted(count, { one, many }) {
    return count === 1 ? `1 ${one}` : `${count || "no"} ${many}`;
  }
}
