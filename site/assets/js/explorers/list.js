// @ts-check
// Explorers of many things: a list to choose one from, by words and filters, with the mouse or the arrow keys.
"use strict";

/** The things to choose from: links, of which one is current; the arrow keys walk along them. */
class ThingList {
  static #STEPS = new Map([["ArrowDown", 1], ["ArrowUp", -1], ["Home", -Infinity], ["End", Infinity]]);

  /** @param {string} label @param {(name: string, how: {clicked: boolean}) => void} choose */
  constructor(label, choose) {
    this.choose = choose;
    this.links = new Map();
    this.holder = Page.element("nav", { class: "explorer-list", "aria-label": label });
    this.holder.addEventListener("click", (event) => this.#click(event));
    this.holder.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {{name: string, note: string, words: string, href: string}[]} things */
  draw(things) {
    this.links = new Map(things.map((thing) => [thing.name, this.#link(thing)]));
    const items = [...this.links.values()].map((link) => Page.element("li", {}, link));
    this.holder.replaceChildren(Page.element("ul", {}, items));
  }

  /** @param {{name: string, note: string, words: string, href: string}} thing */
  #link({ name, note, words, href }) {
    const { element } = Page;
    const parts = Object.entries({ name, note, words }).filter(([, text]) => text);
    const spans = parts.flatMap(([part, text]) => [element("span", { class: `list-${part}` }, text), " "]);
    return element("a", { href, "data-name": name }, spans);
  }

  /** Show which one is current; where it is not in the list, the keys begin at the first. @param {string} name */
  mark(name) {
    const current = this.links.get(name);
    const start = current ?? this.links.values().next().value;
    for (const link of this.links.values()) {
      link.tabIndex = link === start ? 0 : -1;
      link.toggleAttribute("aria-current", false);
    }
    current?.setAttribute("aria-current", "true");
    if (current) this.#reveal(current);
  }

  /** Scroll the list alone, never the page. @param {Element} link */
  #reveal(link) {
    const [box, at] = [this.holder.getBoundingClientRect(), link.getBoundingClientRect()];
    if (at.top < box.top) this.holder.scrollTop -= box.top - at.top;
    else if (at.bottom > box.bottom) this.holder.scrollTop += at.bottom - box.bottom;
  }

  /**
   * The name that lies so many steps from this one; undefined beyond the ends.
   * @param {string} name @param {number} step
   */
  neighbour(name, step) {
    const names = [...this.links.keys()];
    const place = names.indexOf(name);
    return place === -1 ? names[0] : names[place + step];
  }

  /** Move the focus to the current thing, or else to the first. */
  enter() {
    /** @type {HTMLElement | null} */ (this.holder.querySelector('[tabindex="0"]'))?.focus();
  }

  /** @param {any} event */
  #click(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.choose(link.dataset.name, { clicked: true });
  }

  /** @param {any} event */
  #key(event) {
    const step = ThingList.#STEPS.get(event.key);
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const names = [...this.links.keys()];
    const place = names.indexOf(event.target.dataset.name) + step;
    const name = names[Math.max(0, Math.min(names.length - 1, place))];
    this.choose(name, { clicked: false });
    this.links.get(name).focus({ preventScroll: true });
  }
}

/** An explorer with a list of things and one that is looked at: the one in the address, or else the first that fits. */
class ListExplorer extends Explorer {
  static #MOST = 200; // listed

  /** @type {Map<string, Thing>} all that can be looked at, by name */ things = new Map();
  /** @type {Thing[]} those that fit what is searched for */ fitting = [];
  /** @type {WeakMap<Thing, string>} */ #said = new WeakMap();

  /** @param {HTMLElement} root @param {string} label what the list is called */
  constructor(root, label) {
    super(root);
    this.list = new ThingList(label, (name, { clicked }) => this.choose(name, { step: clicked, bring: clicked }));
    this.main = Page.element("div", { class: "explorer-main" });
    this.count = Page.element("p", { class: "filter-count", role: "status" });
    this.form.append(this.count);
  }

  // What a kind gives

  /** The things that fit the form, in order. @returns {Thing[]} */
  found() {
    return [];
  }

  /** How many there are of what is searched, and what they are called. @returns {[number, string]} */
  all() {
    return [this.things.size, ""];
  }

  /** What stands beside a name in the list. @param {any} _thing */
  note(_thing) {
    return "";
  }

  /** Show what is looked at. */
  look() {}

  /** What things are called. @returns {Counted} */
  get called() {
    return { one: "thing", many: "things" };
  }

  // The list

  parts() {
    return [Page.element("div", { class: "explorer-beside" }, this.list.holder, this.main)];
  }

  /** The box for words, from which the keys lead into the list. */
  search() {
    const hint = "Words, tokens or a name";
    const attributes = { type: "search", name: "words", placeholder: hint, "aria-label": hint, autocomplete: "off" };
    const box = Page.element("input", attributes);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      this.list.enter();
    });
    return Page.element("label", { class: "filter-text" }, box);
  }

  /** Those in which every word that is searched for stands. @param {Thing[]} things */
  said(things) {
    const wanted = Page.words(this.value("words"));
    return things.filter((thing) => wanted.every((word) => this.#text(thing).includes(word)));
  }

  /** @param {Thing} thing */
  #text(thing) {
    const text = this.#said.get(thing) ?? Page.fold(Sheet.said(thing));
    this.#said.set(thing, text);
    return text;
  }

  /** The thing that is looked at. @returns {any} */
  get chosen() {
    return this.things.get(this.value("at")) ?? this.fitting[0] ?? this.things.values().next().value;
  }

  draw() {
    this.fitting = this.found();
    this.list.draw(
      this.fitting.slice(0, ListExplorer.#MOST).map((thing) => {
        const { name } = thing;
        return { name, note: this.note(thing), words: Sheet.words(thing, 4), href: this.link(name) };
      }),
    );
    this.#show();
  }

  #show() {
    this.#tell();
    this.look();
    this.list.mark(this.chosen.name);
  }

  #tell() {
    const { one, many } = this.called;
    const [some, [all, what]] = [this.fitting.length, this.all()];
    const cut = some > ListExplorer.#MOST ? `, the first ${ListExplorer.#MOST} listed` : "";
    const at = this.value("at");
    const lost = at && !this.things.has(at) ? `. This run has no ${one} “${Sheet.visible(at)}”.` : "";
    this.count.textContent = `${some === all ? "" : `${some} of `}${all} ${many}${what}${cut}${lost}`;
  }

  /** Which setting of written texts is chosen, and how another is. @returns {Setting} */
  get setting() {
    return {
      get: () => this.value("setting"),
      set: (value) => {
        this.put("setting", value);
        this.keep();
      },
    };
  }

  /** Look at another thing. @param {string | undefined} name */
  choose(name, { step = false, bring = false } = {}) {
    if (name === undefined) return;
    this.put("at", name);
    this.#show();
    this.keep({ step });
    if (bring && this.main.getBoundingClientRect().top > 0.6 * innerHeight) this.main.scrollIntoView();
  }
}
