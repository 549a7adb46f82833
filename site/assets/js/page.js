// @ts-check
// What the scripts of this site share. Classic scripts, because pages opened from a disk may not import modules.
"use strict";

const Page = (() => {
  // Material's search is a dialog without a name.
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search");

  /** Run for each page that is shown, with or without Material's instant navigation. @param {() => void} start */
  const ready = (start) => {
    const shown = /** @type {any} */ (window).document$;
    if (shown) shown.subscribe(() => start());
    else start();
  };

  /**
   * Run one of our data scripts and give what it leaves under this name; undefined where that is nothing.
   * @param {string} source @param {string} name @returns {Promise<any>}
   */
  const load = (source, name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const left = /** @type {any} */ (window);
      delete left[name];
      script.src = source;
      script.onload = () => resolve(left[name]);
      script.onerror = () => reject(new Error(`${source} did not load`));
      document.head.append(script);
    });

  const SVG = "http://www.w3.org/2000/svg";
  const SVG_NAMES = new Set(["svg", "g", "rect", "path", "text"]);

  /**
   * An element with attributes and children; a text stays text, and what is null is left out.
   * @template {string} Name
   * @param {Name} name @param {Record<string, any>} attributes @param {...any} children
   * @returns {Name extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Name] : SVGElement}
   */
  const element = (name, attributes = {}, ...children) => {
    const made =
      /** @type {any} */ (SVG_NAMES.has(name) ? document.createElementNS(SVG, name) : document.createElement(name));
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null));
    return made;
  };

  const QUOTES = /['"`´\u00AB\u00BB\u2018-\u201F\u2039\u203A\u2032-\u2037\u00AD]/g;
  /** Letters that no accent was put on, and what they are typed as. @type {Record<string, string>} */
  const LETTERS = { ø: "o", ł: "l", ß: "ss", æ: "ae", œ: "oe", đ: "d", ð: "d", þ: "th", ı: "i" };
  const BREAKS = /[\p{Pd}\u2212_/,;:!?()[\]{}…]+|\.(?!\d)/gu;

  /**
   * Text as it is compared: small letters, the Latin ones without accents, no quotes, a space for every kind of hyphen.
   * @param {string} text
   */
  const fold = (text) =>
    text
      .replace(QUOTES, "")
      .normalize("NFKD")
      .replace(/\p{M}+/gu, "")
      .replace(BREAKS, " ")
      .toLowerCase()
      .replace(/[øłßæœđðþı]/g, (letter) => LETTERS[letter]);

  const ARXIV = /\S*?(\d{4}\.\d{4,5})(v\d+)?\S*/g;
  const OLD_ARXIV = /\S*?\b([a-z]+(?:-[a-z]+)?)(?:\.[a-z]{2})?\/(\d{7})(v\d+)?\S*/gi;

  /** The words of a query; an arXiv address counts as its id. @param {string} query */
  const words = (query) => fold(query.replace(ARXIV, "$1").replace(OLD_ARXIV, "$1 $2")).split(/\s+/).filter(Boolean);

  /**
   * A form's state as it stands in the address: what is empty or at its default is left out.
   * @param {HTMLFormElement} form @param {Record<string, string>} defaults
   */
  const state = (form, defaults = {}) => {
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const text = String(value);
      if (text.trim() && text !== defaults[name]) params.append(name, text.trim());
    }
    return params;
  };

  /**
   * Set a form to a state; a value that it does not offer counts as none.
   * @param {HTMLFormElement} form @param {URLSearchParams} params @param {Record<string, string>} defaults
   */
  const restore = (form, params, defaults = {}) => {
    for (const field of /** @type {any} */ (form.elements)) {
      if (!field.name) continue;
      const values = params.getAll(field.name);
      if (field.type === "checkbox") field.checked = values.includes(field.value);
      else field.value = values[0] ?? defaults[field.name] ?? "";
      if (field.selectedIndex === -1) field.value = defaults[field.name] ?? "";
    }
  };

  /**
   * Put a state into the address, as a new step of the history or in place of the present one; a page in a frame stays
   * one.
   * @param {URLSearchParams} params
   */
  const keep = (params, { step = false, hash = location.hash } = {}) => {
    if (document.documentElement.classList.contains("embed")) params.set("embed", "1");
    const query = params.toString();
    const address = location.pathname + (query && `?${query}`) + hash;
    if (address === location.pathname + location.search + location.hash) return;
    try {
      history[step ? "pushState" : "replaceState"](null, "", address);
    } catch {
      // Some browsers keep the address of a page from a disk as it is; the page works all the same.
    }
  };

  /**
   * Up to three names, else the first, those that a query asks for, and `et al.`.
   * @param {string[]} names @param {(name: string) => boolean} asked
   */
  const etAl = (names, asked = () => false) => {
    if (names.length === 1) return names[0];
    if (names.length <= 3) return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
    return `${names.filter((name, place) => !place || asked(name)).join(", ")} et al.`;
  };

  return { ready, load, element, fold, words, etAl, state, restore, keep };
})();
