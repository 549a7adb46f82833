// @ts-check
// Cards: a list to search, filter and sort, and of each entry all that is known.
"use strict";

/** @typedef {Thing & {filters?: Record<string, string | number>, numbers?: Record<string, number | null>}} Card */
/** @typedef {{name: string, title: string}} Named */

class Cards extends ListExplorer {
  /** @type {Named[]} */ filters = [];
  /** @type {Named[]} */ sorts = [];
  /** @type {Card | null} */ shown = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    super(root, "What can be looked at");
    this.sheet = Page.element("section", { class: "sheet", "aria-label": "The one chosen" });
    this.buttons = [-1, 1].map((by) =>
      Explorer.button(by < 0 ? "← Previous" : "Next →", () => this.choose(this.#neighbour(by), { step: true }))
    );
    this.main.append(Page.element("p", { class: "explorer-steps" }, this.buttons), this.sheet);
  }

  get called() {
    return this.data.card;
  }

  take() {
    const { cards, filters = [], sorts = [] } = this.data;
    this.things = new Map(cards.map((card) => [card.name, card]));
    this.filters = filters;
    this.sorts = sorts;
  }

  fields() {
    const sorts = this.sorts.map(({ name, title }) => Explorer.option(name, title));
    return [
      this.search(),
      ...this.filters.map((filter) => this.#filter(filter)),
      Explorer.choice("Sort by", "sort", [Explorer.option("", "as listed"), ...sorts]),
      Explorer.button(`Random ${this.called.one}`, () => this.#random()),
      Explorer.hidden("setting"),
    ];
  }

  /** @param {Named} filter */
  #filter({ name, title }) {
    const values = new Set(this.#cards().map((card) => card.filters?.[name] ?? ""));
    const options = [...values].filter((value) => value !== "").map((value) => Explorer.option(value));
    return Explorer.choice(title, name, [Explorer.option("", "all"), ...options]);
  }

  #cards() {
    return /** @type {Card[]} */ ([...this.things.values()]);
  }

  /** Those that fit, in order; those that were not measured come last. */
  found() {
    const fits = (card) =>
      this.filters.every(({ name }) => !this.value(name) || String(card.filters?.[name]) === this.value(name));
    const found = this.said(this.#cards().filter(fits));
    const number = (card) => card.numbers?.[this.value("sort")] ?? -Infinity;
    return this.value("sort") ? found.sort((a, b) => number(b) - number(a) || 0) : found;
  }

  /** @param {Card} card */
  note(card) {
    return this.value("sort") ? Explorer.number(card.numbers?.[this.value("sort")]) : "";
  }

  look() {
    const { name, facts = [], parts = [] } = /** @type {Card} */ (this.chosen);
    this.buttons.forEach((button, i) => (button.disabled = this.#neighbour(i ? 1 : -1) === undefined));
    if (this.shown === this.chosen) return;
    this.shown = this.chosen;
    this.sheet.replaceChildren(
      Page.element("h2", {}, Sheet.visible(name)),
      Sheet.facts(facts),
      Sheet.parts(parts, this.setting),
    );
  }

  restore(params) {
    super.restore(params);
    this.shown = null;
  }

  #neighbour(step) {
    return this.list.neighbour(this.chosen.name, step);
  }

  #random() {
    const others = this.fitting.filter((card) => card !== this.chosen);
    this.choose(others[Math.floor(Math.random() * others.length)]?.name, { step: true, bring: true });
  }

  table() {
    const titled = [...this.filters, ...this.sorts].map(({ title }) => title);
    const rows = /** @type {Card[]} */ (this.fitting).map((card) => [
      Explorer.button(
        Sheet.visible(card.name),
        () => this.choose(card.name, { step: true, bring: true }),
        "link-button",
      ),
      ...this.filters.map(({ name }) => card.filters?.[name] ?? "–"),
      ...this.sorts.map(({ name }) => Explorer.number(card.numbers?.[name])),
      Sheet.words(card, 4),
    ]);
    return { heads: ["Name", ...titled, "Words"], rows };
  }
}

Explorer.start(Cards);
