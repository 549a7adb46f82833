// What the explorers of features share: how tokens and contexts are shown, the list to choose from, a feature's place
// in the address, and the choice of the run.
"use strict";

const Feature = (() => {
  const { element } = Page;
  const SIGNS = { "\n": "↵", "\r": "↵", "\t": "⇥" };
  const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200C\u200D])\p{Cf}/gu;

  /** A text in which everything can be seen: line breaks and what would turn the direction of writing get signs. */
  const visible = (text) => text.replace(UNSEEN, (sign) => SIGNS[sign] ?? `‹${sign.codePointAt(0).toString(16)}›`);

  /** A token that stands alone; one of nothing but spaces shows them. */
  const token = (text) => (text.trim() || !text ? visible(text) || "∅" : visible(text.replaceAll(" ", "␣")));

  /** A few tokens in a line. */
  const inLine = (tokens, most) =>
    (tokens ?? [])
      .slice(0, most)
      .map((one) => token(one).trim())
      .join(" · ");

  const nothing = (said = "none recorded") => element("p", { class: "quiet feature-nothing" }, said);

  /** Tokens as a list; each tells exactly what it is when it is pointed at. */
  const tokens = (list, label) => {
    if (!list?.length) return nothing();
    const items = list.map((one) => element("li", { title: JSON.stringify(one) }, element("bdi", {}, token(one))));
    return element("ul", { class: "tokens", "aria-label": label }, items);
  };

  /** A number as people read it, a dash where there is none. */
  const number = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

  const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });

  /** On how much of the text a feature is active. */
  const rate = (share) => {
    if (!Number.isFinite(share)) return null;
    return share > 0 ? `active on ${PERCENT.format(share)} of tokens` : "never active in the text that was read";
  };

  /** Contexts with the active tokens tinted by their activation, the strongest context first. */
  const contexts = (list) => {
    if (!list?.length) return nothing("no text that makes it active");
    const largest = Math.max(...list.flatMap(({ activations }) => activations.map(Math.abs)), Number.MIN_VALUE);
    return element(
      "ol",
      { class: "contexts" },
      list.map((context) => element("li", {}, ...inContext(context, largest))),
    );
  };

  /** The text, and in words where it is most active. */
  const inContext = ({ tokens, activations }, largest) => {
    const peak = activations.reduce((best, value, i) => (Math.abs(value) > Math.abs(activations[best]) ? i : best), 0);
    const text = tokens.flatMap((one, i) =>
      activations[i] ? fired(one, activations[i], largest, i === peak) : visible(i ? one : one.trimStart()),
    );
    const said = `${number(activations[peak], 1)} at “${visible(tokens[peak] ?? "").trim()}”`;
    return [element("p", { class: "context" }, text), element("p", { class: "quiet context-peak" }, said)];
  };

  /** An active token; the space before it stays outside of the tint, which then does not hang over a line's end. */
  const fired = (text, activation, largest, peak) => {
    const word = text.trimStart() || text;
    const name = peak ? "fired fired--peak" : "fired";
    const more = { "data-sign": activation < 0 ? "down" : "up", title: `activation ${number(activation)}` };
    const made = element("mark", { class: name, ...more }, visible(word));
    made.style.setProperty("--strength", `${Math.round((100 * Math.abs(activation)) / largest)}%`);
    return [visible(text.slice(0, text.length - word.length)), made];
  };

  /** A feature's name as the part of an address behind `#`, and back. */
  const hash = (name) => `#f=${encodeURIComponent(name).replaceAll("%2F", "/")}`;
  const wanted = () => new URLSearchParams(location.hash.slice(1)).get("f");

  /** A run's key, from the name of its data: `…/smollm2-135m.full.features.js` belongs to smollm2-135m.full. */
  const runKey = (source) =>
    source
      .split("/")
      .pop()
      .replace(/\.[^.]+\.js$/, "");

  /** Keep the state of the form, the run and the feature in the address. */
  const keep = (form, defaults, name, options) => {
    const params = Page.state(form, defaults);
    const run = document.querySelector(".explorer-run");
    if (run?.selectedIndex > 0) params.set("run", runKey(run.value));
    Page.keep(params, { ...options, hash: name ? hash(name) : "" });
  };

  /** Show the run that the address names, or else the first; then what the reader chooses and where he goes back to. */
  const explore = (id, make) =>
    Page.ready(() => {
      const root = document.getElementById(id);
      if (!root) return;
      const run = document.querySelector(`.explorer-run[data-for="${id}"]`);
      let shown;
      const show = async () => {
        const source = run?.value ?? root.dataset.source;
        try {
          const data = await Page.load(source, "EXPLORER");
          if (source === (run?.value ?? source)) shown = make(root, data);
        } catch (error) {
          console.error(error);
          root.replaceChildren(nothing("The data did not load; below is a link to them."));
        }
      };
      const named = new URLSearchParams(location.search).get("run");
      const asked = [...(run?.options ?? [])].find(({ value }) => runKey(value) === named);
      if (asked) asked.selected = true;
      run?.addEventListener("input", () => show().then(() => shown?.keep()));
      addEventListener("popstate", () => shown?.follow());
      return show();
    });

  /** A labelled choice for a form; options are [value, text] pairs. */
  const choice = (label, name, options) => {
    const made = options.map(([value, text]) => element("option", { value }, text));
    return element("label", {}, `${label} `, element("select", { name }, made));
  };

  /** The box for words that a feature is searched by. */
  const search = (hint) => {
    const attributes = { type: "search", name: "words", placeholder: hint, "aria-label": hint, autocomplete: "off" };
    return element("input", attributes);
  };

  /** Bring into view what a tap has changed, where it lies below the window's edge. */
  const bring = (holder) => {
    if (holder.getBoundingClientRect().top > 0.6 * innerHeight) holder.scrollIntoView();
  };

  const shown = { visible, token, tokens, inLine, nothing, number, rate, contexts };
  return { ...shown, hash, wanted, keep, explore, choice, search, bring };
})();

/** The features to choose from: links, of which one is current; the arrow keys walk along them. */
class FeatureList {
  static #STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

  /** `describe` gives a feature's name, a note and a line of words; `choose` is called with the name of one. */
  constructor(label, { describe, choose }) {
    Object.assign(this, { describe, choose });
    this.links = new Map();
    this.holder = Page.element("nav", { class: "feature-list", "aria-label": label });
    this.holder.addEventListener("click", (event) => this.#click(event));
    this.holder.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(features, current) {
    const { element } = Page;
    this.links = new Map(features.map((feature) => this.#link(this.describe(feature))));
    const items = [...this.links.values()].map((link) => element("li", {}, link));
    this.holder.replaceChildren(element("ul", {}, items));
    this.mark(current);
  }

  #link({ name, note, words }) {
    const { element } = Page;
    const parts = [
      ["name", name],
      ["note", note],
      ["words", words],
    ].filter(([, text]) => text);
    const spans = parts.flatMap(([part, text]) => [element("span", { class: `feature-${part}` }, text), " "]);
    return [name, element("a", { href: Feature.hash(name), "data-name": name }, spans)];
  }

  /** Show which one is current; where it is not in the list, the keys begin at the first. */
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

  /** Scroll the list alone, never the page. */
  #reveal(link) {
    const [box, at] = [this.holder.getBoundingClientRect(), link.getBoundingClientRect()];
    if (at.top < box.top) this.holder.scrollTop -= box.top - at.top;
    else if (at.bottom > box.bottom) this.holder.scrollTop += at.bottom - box.bottom;
  }

  /** The name that lies so many steps from this one; undefined beyond the ends. */
  neighbour(name, step) {
    const names = [...this.links.keys()];
    const place = names.indexOf(name);
    return place === -1 ? names[0] : names[place + step];
  }

  /** Move the focus to the current feature, or else to the first. */
  enter() {
    this.holder.querySelector('[tabindex="0"]')?.focus();
  }

  #click(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.choose(link.dataset.name, { clicked: true });
  }

  #key(event) {
    const step = FeatureList.#STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const names = [...this.links.keys()];
    const place = names.indexOf(event.target.dataset.name) + step;
    const name = names[Math.max(0, Math.min(names.length - 1, place))];
    this.choose(name, {});
    this.links.get(name).focus({ preventScroll: true });
  }
}
