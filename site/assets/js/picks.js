// The list of picks: filters, sorts and draws it, and keeps what the reader chose in the address. Until the reader
// asks for something the page stays the plain list that it came with, and the data stay where they are.
"use strict";

/** The picks, read once when first wanted, newest first; and which of them fit a question. */
class Picks {
  static #title = new Intl.Collator("en", { sensitivity: "base", numeric: true, ignorePunctuation: true });
  static #comparisons = {
    title: (a, b) => this.#title.compare(a.title, b.title),
    upvotes: (a, b) => (b.upvotes ?? -1) - (a.upvotes ?? -1),
    collection: (a, b) => (a.order ?? 1e9) - (b.order ?? 1e9),
  };
  #loading;
  #orders = {};

  get wanted() {
    return Boolean(this.#loading);
  }

  load() {
    this.#loading ??= Library.load().then(({ picks, ranking }) => {
      this.ranking = ranking;
      this.#orders = { best: picks, newest: picks, oldest: [...picks].reverse() };
      return picks;
    });
    return this.#loading;
  }

  /** The picks that have all the words, with how well these fit. */
  #worded(words) {
    const fitting = this.ranking.find(words).hits.filter(({ whole }) => whole);
    return new Map(fitting.map(({ place, score }) => [this.#orders.newest[place], score]));
  }

  #sorted(sort) {
    this.#orders[sort] ??= [...this.#orders.newest].sort(Picks.#comparisons[sort]);
    return this.#orders[sort];
  }

  /** The picks that fit all that a form asks for, in the order it asks for; once they are loaded. */
  matching(asked) {
    const [kind, year, venue, verdict] = ["kind", "year", "venue", "verdict"].map((name) => asked.get(name));
    const worded = this.#worded(asked.get("words"));
    const tags = asked.getAll("tag");
    const fitting = this.#sorted(asked.get("sort")).filter(
      (pick) =>
        worded.has(pick) &&
        (!kind || pick.kind === kind) &&
        (!year || pick.date.startsWith(year)) &&
        (!venue || pick.venue === venue) &&
        (!verdict || pick.verdicts[verdict]) &&
        (!asked.has("notebook") || pick.notebook) &&
        (!asked.has("thread") || pick.thread) &&
        tags.every((tag) => pick.tags.includes(tag)),
    );
    return asked.get("sort") === "best" ? fitting.sort((a, b) => worded.get(b) - worded.get(a)) : fitting;
  }
}

/** A pick as an item of the list; the same as the templates draw it (`pick_item` in `_macros.md.j2`). */
const pickItem = (() => {
  const { element } = Page;

  const item = (pick) =>
    element(
      "li",
      { class: "pick" },
      element("h3", { class: "pick-title" }, element("a", { href: pick.url }, pick.title)),
      element("p", { class: "pick-meta" }, meta(pick)),
      element("p", { class: "pick-why" }, pick.why),
      element("div", { class: "pick-foot" }, tagLinks(pick.tags), pick.notebook ? found(pick) : null),
    );

  function meta(pick) {
    const parts = [
      element("span", { class: "pick-authors" }, Page.etAl(pick.authors.split(", "))),
      element("time", { datetime: pick.date }, pick.day),
      pick.venue && element("span", { class: "pick-venue" }, pick.venue),
      element("span", { class: "pick-kind" }, pick.kind),
      pick.status && element("span", { class: "pick-status" }, pick.status),
      pick.picked && element("span", { class: "pick-picked" }, pick.picked),
    ];
    return parts.filter(Boolean).flatMap((part, place) => (place ? [" ", part] : [part]));
  }

  function tagLinks(tags) {
    const link = (tag) => element("a", { class: "chip", href: `?${new URLSearchParams({ tag })}` }, tag);
    return element(
      "ul",
      { class: "chips", "aria-label": "Tags" },
      tags.map((tag) => element("li", {}, link(tag))),
    );
  }

  function found({ url, verdicts, found: words }) {
    const said = element("span", {}, words || "notebook");
    return element(
      "a",
      { class: "pick-found", href: `${url}#reproduction` },
      words ? bar(verdicts, words) : null,
      said,
    );
  }

  function bar(verdicts, words) {
    let x = 0;
    const parts = Object.entries(verdicts).map(([word, width]) => {
      const part = element("rect", { class: `bar-${word.replace(/\W+/g, "-")}`, x, y: 0, width, height: 1 });
      x += width;
      return part;
    });
    const box = { class: "bar", viewBox: `0 0 ${x} 1`, preserveAspectRatio: "none" };
    return element("svg", { ...box, role: "img", "aria-label": words }, parts);
  }

  return item;
})();

/** The tags as chips to tick: how many picks would be left with each, and keys to walk along them. */
class Chips {
  static #STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  constructor(fieldset) {
    this.chips = [...fieldset.querySelectorAll(".chip")].map((label) => ({
      label,
      box: label.querySelector("input"),
      count: label.querySelector(".chip-count"),
    }));
    this.#foldAway(fieldset);
    fieldset.addEventListener("keydown", (event) => this.#key(event));
  }

  of(tag) {
    return this.chips.find(({ box }) => box.value === tag)?.box;
  }

  count(picks) {
    const left = new Map();
    for (const { tags } of picks) for (const tag of tags) left.set(tag, (left.get(tag) ?? 0) + 1);
    for (const { box, count } of this.chips) {
      const number = left.get(box.value) ?? 0;
      count.textContent = number;
      box.disabled = !number && !box.checked;
    }
  }

  /** Show the commonest tags; the others, unless ticked, when asked. Which these are, the page says. */
  #foldAway(fieldset) {
    if (!fieldset.querySelector(".chip--rare")) return;
    const button = Page.element("button", { type: "button", class: "link-button filter-all-tags" });
    const show = (open) => {
      fieldset.classList.toggle("filter-tags--all", open);
      button.setAttribute("aria-expanded", open);
      button.textContent = open ? "Fewer tags" : `All ${this.chips.length} tags`;
    };
    button.addEventListener("click", () => show(button.getAttribute("aria-expanded") === "false"));
    show(false);
    fieldset.append(button);
  }

  #key(event) {
    const { key, target } = event;
    if (target.name !== "tag" || !(key in Chips.#STEPS || key === "Enter")) return;
    event.preventDefault();
    if (key === "Enter") return target.click();
    const boxes = this.chips.filter(({ box, label }) => !box.disabled && label.offsetParent).map(({ box }) => box);
    boxes[(boxes.indexOf(target) + Chips.#STEPS[key] + boxes.length) % boxes.length].focus();
  }
}

/** What the reader chose to sort by, kept on his machine where that is allowed. */
const rememberedSort = {
  get() {
    try {
      return localStorage.getItem("picks-sort");
    } catch {
      return null;
    }
  },
  set(sort) {
    try {
      localStorage.setItem("picks-sort", sort);
    } catch {
      // No storage, no memory.
    }
  },
};

/** The list with its form. */
class PickList {
  static #SLICE = 30;
  static #PAUSE = 250;
  #found = [];
  #pause;

  constructor(root, form) {
    this.form = form;
    this.list = document.getElementById("picks-list");
    this.count = document.getElementById("picks-count");
    this.reset = document.getElementById("picks-reset");
    this.defaults = { sort: root.dataset.sort };
    this.picks = new Picks();
    this.chips = new Chips(form.querySelector(".filter-tags"));
    this.more = Page.element("button", { type: "button", class: "button picks-more" }, "Show more");
    this.heroes = document.querySelectorAll(".hero");
    this.nothing = Page.element("p", { class: "picks-nothing", hidden: true }, "No pick fits all of this. ");
    this.elsewhere = Page.element("button", { type: "button", class: "link-button" });
    this.nothing.append(this.elsewhere);
    this.list.after(this.nothing, this.more);
    this.more.hidden = Number(root.dataset.total) <= this.list.children.length;
    this.#listen();
    this.count.textContent = `${root.dataset.total} picks`;
    form.hidden = false;
    this.#fromAddress();
  }

  // From the address to the form, and back

  /** Take the state from the address; the plain list stays where nothing is asked of it. */
  async #fromAddress() {
    Page.restore(this.form, new URLSearchParams(location.search), { sort: rememberedSort.get() ?? this.defaults.sort });
    const sort = this.form.elements.sort;
    if (sort.selectedIndex < 0) sort.value = this.defaults.sort;
    const { shown = 0, top = 0 } = history.state ?? {};
    this.#keep();
    if (!this.picks.wanted && !this.#state.size && shown <= PickList.#SLICE) return;
    await this.#apply();
    while (this.list.children.length < Math.min(shown, this.#found.length)) this.#drawMore();
    if (!top) return;
    await document.fonts.ready; // another font has other lines
    history.scrollRestoration = "manual"; // or the browser goes, when all has loaded, to where it last saw the reader
    scrollTo({ top, behavior: "instant" });
  }

  get #state() {
    return Page.state(this.form, this.defaults);
  }

  #keep(step = false) {
    clearTimeout(this.#pause);
    Page.keep(this.#state, { step });
  }

  #changed({ typing = false } = {}) {
    clearTimeout(this.#pause);
    if (typing) this.#pause = setTimeout(() => this.#keep(), PickList.#PAUSE);
    else this.#keep(true);
    return this.#apply();
  }

  // Drawing

  async #apply() {
    try {
      const all = await this.picks.load();
      this.#draw(all.length);
    } catch {
      this.count.textContent = "The list did not load; all picks are below, month by month.";
    }
  }

  #draw(total) {
    this.#found = this.picks.matching(new FormData(this.form));
    this.list.replaceChildren();
    this.#drawMore();
    this.nothing.hidden = this.#found.length > 0;
    const narrowed = [...this.#state.keys()].some((name) => name !== "sort");
    this.count.textContent = narrowed ? `${this.#found.length} of ${total} picks` : `${total} picks`;
    this.reset.hidden = !narrowed;
    for (const hero of this.heroes) hero.hidden = narrowed;
    const { value } = this.form.elements.words;
    this.elsewhere.textContent = `Search all pages for “${value}”`;
    this.elsewhere.hidden = !value;
    this.chips.count(this.#found);
  }

  #drawMore() {
    const start = this.list.children.length;
    this.list.append(...this.#found.slice(start, start + PickList.#SLICE).map(pickItem));
    this.more.hidden = this.list.children.length >= this.#found.length;
    return this.list.children[start];
  }

  // What the reader does

  #listen() {
    const { form, list, picks } = this;
    for (const sign of ["focusin", "pointerenter"]) {
      form.addEventListener(sign, () => picks.load().catch(() => {}), { once: true });
    }
    form.addEventListener("input", ({ target }) => this.#input(target));
    form.addEventListener("submit", (event) => this.#submit(event));
    form.addEventListener("reset", (event) => this.#clear(event));
    form.elements.words.addEventListener("keydown", (event) => this.#down(event));
    document.getElementById("picks-random").addEventListener("click", () => this.#random());
    this.more.addEventListener("click", () => this.#showMore());
    this.elsewhere.addEventListener("click", () => Search.open(form.elements.words.value));
    list.addEventListener("click", (event) => this.#tag(event));
    list.addEventListener("keydown", (event) => this.#walk(event));
    addEventListener("popstate", () => this.#fromAddress());
    addEventListener("pagehide", () => this.#leave());
  }

  #input({ name, value }) {
    if (name === "sort") rememberedSort.set(value);
    this.#changed({ typing: name === "words" });
  }

  #submit(event) {
    event.preventDefault();
    this.#changed();
  }

  #clear(event) {
    event.preventDefault();
    Page.restore(this.form, new URLSearchParams(), { sort: this.form.elements.sort.value });
    this.form.elements.words.focus();
    this.#changed();
  }

  async #random() {
    const all = await this.picks.load();
    const found = this.picks.matching(new FormData(this.form));
    const among = found.length ? found : all;
    location.assign(among[Math.floor(Math.random() * among.length)].url);
  }

  async #showMore() {
    await this.picks.load();
    this.#found = this.picks.matching(new FormData(this.form));
    this.#drawMore()?.querySelector("a").focus();
  }

  /** A tag in the list narrows the list; with a key held down it is the link that it looks like. */
  #tag(event) {
    const box = this.chips.of(event.target.closest(".chip")?.textContent);
    if (!box || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    box.checked = true;
    this.#changed();
    this.form.scrollIntoView({ block: "nearest" });
    box.focus();
  }

  #down(event) {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    this.list.querySelector(".pick-title a")?.focus();
  }

  /** Arrows go from title to title, and at the ends to the button below and the words above. */
  #walk(event) {
    const here = event.target.closest(".pick");
    const down = event.key === "ArrowDown";
    if (!here || (!down && event.key !== "ArrowUp")) return;
    event.preventDefault();
    const next = down ? here.nextElementSibling : here.previousElementSibling;
    (next?.querySelector(".pick-title a") ?? (down ? this.more : this.form.elements.words)).focus();
  }

  /** Remember how far the reader had come, for when he comes back. */
  #leave() {
    try {
      history.replaceState({ shown: this.list.children.length, top: scrollY }, "");
    } catch {
      // See Page.keep.
    }
  }
}

Page.ready(() => {
  const root = document.getElementById("picks");
  const form = document.getElementById("picks-filter");
  if (root && form) new PickList(root, form);
});
