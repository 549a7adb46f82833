// The features explorer: search, sort and choose features of a model, and see side by side what makes one active, what
// it does to the output, what steering with it writes, and how well each description of it did.
"use strict";

/** The recorded features, and which of them fit a question. */
class FeatureShelf {
  static SORTS = {
    layer: "layer",
    output: "best output score",
    input: "best input score",
    disagreement: "largest gap between the two",
  };

  constructor({ methods, chance, features }) {
    Object.assign(this, { methods, chance: chance ?? {}, features });
    this.byName = new Map(features.map((feature) => [feature.name, feature]));
    this.families = [...new Set(features.map(({ family }) => family))];
    this.layers = [...new Set(features.map(({ layer }) => layer))].sort((a, b) => a - b);
    this.words = new Map(features.map((feature) => [feature, FeatureShelf.#words(feature)]));
  }

  static #words({ name, title, descriptions, contexts, promoted, suppressed, token_change: change }) {
    const texts = (contexts ?? []).map(({ tokens }) => tokens.join(""));
    const changed = Object.values(change ?? {}).flatMap((sign) => Object.values(sign ?? {}).flat());
    const described = Object.values(descriptions ?? {}).flat();
    return Page.fold(
      [name, title, ...described, ...texts, ...(promoted ?? []), ...(suppressed ?? []), ...changed].join(" "),
    );
  }

  /** What a feature is sorted by; undefined where it was not measured. */
  measure({ scores }, sort) {
    const found = Object.values(scores ?? {}).map((score) => {
      if (sort !== "disagreement") return score?.[sort];
      return Number.isFinite(score?.input) && Number.isFinite(score?.output)
        ? Math.abs(score.input - score.output)
        : null;
    });
    const numbers = found.filter(Number.isFinite);
    return numbers.length ? Math.max(...numbers) : undefined;
  }

  /** The features that fit, in order; those that were not measured come last. */
  fitting({ words, family, layer, sort }) {
    const wanted = Page.words(words ?? "");
    const fits = (feature) =>
      (!family || feature.family === family) &&
      (!layer || feature.layer === Number(layer)) &&
      wanted.every((word) => this.words.get(feature).includes(word));
    const value = (feature) => (sort === "layer" ? -feature.layer : (this.measure(feature, sort) ?? -1));
    return this.features.filter(fits).sort((a, b) => value(b) - value(a));
  }
}

/** What a feature is, in sections. */
class FeatureSheet {
  constructor(holder, shelf) {
    Object.assign(this, { holder, shelf, strength: Infinity });
  }

  draw(feature) {
    const { element } = Page;
    this.holder.replaceChildren(
      element("h2", {}, Feature.visible(feature.name)),
      element("p", { class: "quiet feature-facts" }, this.#facts(feature)),
      element("div", { class: "feature-sides" }, this.#inside(feature), this.#outside(feature)),
      this.#steered(feature.steered ?? []),
      this.#scores(feature),
    );
  }

  #facts({ title, family, largest, rate }) {
    const top = Number.isFinite(largest) ? `largest activation ${Feature.number(largest, 1)}` : null;
    return [Feature.visible(title ?? ""), family, Feature.rate(rate), top].filter(Boolean).join(" · ");
  }

  #inside({ contexts }) {
    const about = "Text on which it is most active (MaxAct), tinted by activation";
    return this.#section("What makes it active", about, Feature.contexts(contexts));
  }

  #outside({ promoted, suppressed, token_change: change }) {
    const { element } = Page;
    const list = (label, tokens) =>
      element("div", {}, element("p", { class: "feature-part" }, label), Feature.tokens(tokens, label));
    const pair = (title, ...lists) => [element("h4", {}, title), element("div", { class: "token-pair" }, lists)];
    return this.#section(
      "What it does to the output",
      "Tokens that its direction raises and lowers",
      element(
        "div",
        {},
        pair("VocabProj: read from the weights", list("promoted", promoted), list("suppressed", suppressed)),
        pair(
          "TokenChange: amplified while the model runs",
          list("more likely", change?.amplified?.up),
          list("less likely", change?.amplified?.down),
        ),
        pair(
          "TokenChange: negated",
          list("more likely", change?.negated?.up),
          list("less likely", change?.negated?.down),
        ),
      ),
    );
  }

  #section(title, about, ...content) {
    const { element } = Page;
    return element("section", {}, element("h3", {}, title), element("p", { class: "quiet" }, about), content);
  }

  /** Continuations by prompt, the unsteered one beside those of the chosen strength. */
  #steered(runs) {
    const { element } = Page;
    const title = "What steering with it writes";
    if (!runs.length) return this.#section(title, "No continuation was recorded.");
    const strengths = [...new Set(runs.map(({ kl }) => kl))].filter(Boolean).sort((a, b) => a - b);
    const distance = (kl) => Math.abs(kl - Math.min(this.strength, 1e9));
    const chosen = strengths.reduce((best, kl) => (distance(kl) < distance(best) ? kl : best), strengths.at(-1));
    const texts = element("div", { class: "steered", "aria-live": "polite" });
    const show = (kl) => texts.replaceChildren(...this.#continuations(runs, kl));
    const about =
      "Clamped so far that the model's predictions move by this KL divergence; minus turns the feature down";
    show(chosen);
    return this.#section(title, about, this.#picker(strengths, chosen, show), texts);
  }

  #picker(strengths, chosen, show) {
    const { element } = Page;
    const buttons = strengths.map((kl) => {
      const radio = element("input", { type: "radio", name: "strength", value: kl, checked: kl === chosen });
      return element("label", { class: "chip" }, radio, FeatureSheet.#signed(kl));
    });
    const group = element("fieldset", { class: "strengths" }, element("legend", {}, "Strength (KL)"), buttons);
    group.addEventListener("input", ({ target }) => show((this.strength = Number(target.value))));
    return strengths.length ? group : null;
  }

  static #signed(kl) {
    return `${kl < 0 ? "−" : "+"}${Math.abs(kl)}`;
  }

  #continuations(runs, kl) {
    const { element } = Page;
    const prompts = [...new Set(runs.map(({ prompt }) => prompt))];
    const told = (label, prompt, strength) => {
      const texts = runs.filter((run) => run.prompt === prompt && run.kl === strength).map(({ text }) => text);
      const said = texts.map((text) =>
        element(
          "p",
          { class: "continuation" },
          element("span", { class: "quiet" }, Feature.visible(prompt)),
          Feature.visible(text),
        ),
      );
      const none = Feature.nothing(strength ? "this strength could not be reached" : "not recorded");
      return element("div", {}, element("p", { class: "feature-part" }, label), said.length ? said : none);
    };
    return prompts.map((prompt) => {
      const steered = Number.isFinite(kl) ? told(`steered, KL ${FeatureSheet.#signed(kl)}`, prompt, kl) : null;
      return element("div", { class: "steered-pair" }, told("not steered", prompt, 0), steered);
    });
  }

  #scores({ descriptions, scores }) {
    const { element } = Page;
    const { methods, chance } = this.shelf;
    const columns = ["input", "output"];
    const heads = columns.map((column) =>
      element(
        "th",
        { scope: "col" },
        `${column} `,
        element("span", { class: "by-chance" }, `chance ${Feature.number(chance[column])}`),
      ),
    );
    const rows = methods.map((method) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, method),
        columns.map((column) => this.#score(scores?.[method]?.[column], chance[column], column)),
        element("td", { class: "feature-description" }, Feature.inLine(descriptions?.[method], 20) || "–"),
      ),
    );
    const top = element(
      "tr",
      {},
      element("th", { scope: "col" }, "Method"),
      heads,
      element("th", { scope: "col" }, "Description"),
    );
    const table = element("table", { class: "feature-scores" }, element("thead", {}, top), element("tbody", {}, rows));
    const about =
      "How often a description tells what activates the feature (input), and which text was steered with it (output)";
    return this.#section("How well it is described", about, table);
  }

  /** A score as a number and a bar, with a tick where chance lies. */
  #score(score, chance, column) {
    const { element } = Page;
    if (!Number.isFinite(score))
      return element("td", { class: "quiet", "data-label": column, title: "not measured" }, "–");
    const track = element("rect", { class: "score-track", width: 100, height: 8 });
    const bar = element("rect", { class: "score-bar", width: 100 * score, height: 8 });
    const tick = Number.isFinite(chance)
      ? element("rect", { class: "score-tick", x: 100 * chance - 1, width: 2, height: 8 })
      : null;
    const shape = { class: "score-drawn", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" };
    const name = score > chance ? "score--over" : null;
    return element(
      "td",
      { class: name, "data-label": column },
      Feature.number(score),
      element("svg", shape, track, bar, tick),
    );
  }
}

/** The page: what is searched for, the list, and the feature that is looked at. */
class FeatureExplorer {
  static #DEFAULTS = { sort: "layer" };

  constructor(root, shelf) {
    Object.assign(this, { root, shelf });
    this.list = new FeatureList("Features", {
      describe: (feature) => this.#describe(feature),
      choose: (name, how) => this.#choose(name, how),
    });
    this.#furnish();
    this.sheet = new FeatureSheet(this.sheetHolder, shelf);
    this.follow();
  }

  #furnish() {
    const { element } = Page;
    this.form = element(
      "form",
      { class: "filter feature-form", role: "search", "aria-label": "Features" },
      this.#fields(),
    );
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.#narrow());
    this.form.elements.words.addEventListener("keydown", (event) => this.#intoList(event));
    this.count = element("p", { class: "filter-count", role: "status" });
    this.sheetHolder = element("section", { class: "feature-sheet", "aria-label": "The feature chosen" });
    const main = element("div", { class: "feature-main" }, this.#steps(), this.sheetHolder);
    this.form.append(this.count);
    this.root.replaceChildren(this.form, element("div", { class: "feature-explorer" }, this.list.holder, main));
  }

  #fields() {
    const { element } = Page;
    const { families, layers } = this.shelf;
    const random = this.#button("Random feature", () => this.#random());
    return element(
      "div",
      { class: "filter-row" },
      element("label", { class: "filter-text" }, Feature.search("Words, tokens or a name")),
      Feature.choice("Family", "family", [["", "all"], ...families.map((family) => [family, family])]),
      Feature.choice("Layer", "layer", [["", "all"], ...layers.map((layer) => [layer, layer])]),
      Feature.choice("Sort by", "sort", Object.entries(FeatureShelf.SORTS)),
      random,
    );
  }

  #steps() {
    const step = (by) => () => this.#choose(this.list.neighbour(this.feature?.name, by), { step: true });
    this.buttons = [this.#button("← Previous", step(-1)), this.#button("Next →", step(1))];
    return Page.element("p", { class: "feature-steps" }, this.buttons);
  }

  #button(text, act) {
    const made = Page.element("button", { type: "button", class: "button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  #describe(feature) {
    const { sort } = this.form.elements;
    const note = sort.value === "layer" ? null : Feature.number(this.shelf.measure(feature, sort.value));
    return { name: feature.name, note, words: Feature.inLine(feature.promoted, 4) };
  }

  /** Show what the address says: at the start, and when the reader goes back. */
  follow() {
    Page.restore(this.form, new URLSearchParams(location.search), FeatureExplorer.#DEFAULTS);
    this.#list();
    const name = Feature.wanted();
    this.#missing(name && !this.shelf.byName.has(name) ? name : null);
    this.#show(this.shelf.byName.get(name) ?? this.fitting[0] ?? this.shelf.features[0]);
  }

  keep(options) {
    const name = this.missing ?? this.feature?.name;
    Feature.keep(this.form, FeatureExplorer.#DEFAULTS, name, options);
  }

  #narrow() {
    this.#list();
    this.#missing(this.missing);
    this.#show(this.feature);
    this.keep();
  }

  #list() {
    this.fitting = this.shelf.fitting(Object.fromEntries(new FormData(this.form)));
    this.list.draw(this.fitting, this.feature?.name);
  }

  #missing(name) {
    const [some, all] = [this.fitting.length, this.shelf.features.length];
    this.missing = name;
    const counted = some === all ? `${all} features` : `${some} of ${all} features`;
    this.count.textContent = name ? `${counted}. This run has no feature “${Feature.visible(name)}”.` : counted;
  }

  #choose(name, { clicked = false, step = clicked } = {}) {
    if (name === undefined) return;
    this.#missing(null);
    this.#show(this.shelf.byName.get(name));
    this.keep({ step });
    if (clicked) Feature.bring(this.sheetHolder.parentElement);
  }

  #show(feature) {
    if (!feature) return;
    if (feature !== this.feature) this.sheet.draw(feature);
    this.feature = feature;
    this.list.mark(feature.name);
    this.buttons.forEach(
      (button, i) => (button.disabled = this.list.neighbour(feature.name, i ? 1 : -1) === undefined),
    );
  }

  #random() {
    const others = this.fitting.filter((feature) => feature !== this.feature);
    this.#choose(others[Math.floor(Math.random() * others.length)]?.name, { clicked: true });
  }

  #intoList(event) {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    this.list.enter();
  }
}

Feature.explore("features", (root, data) => new FeatureExplorer(root, new FeatureShelf(data)));
