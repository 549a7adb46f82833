// @ts-check
// What is told of one thing, a card or a node: its facts and its parts – texts with weights, lists of words, texts that
// were written, tables of numbers. Whatever comes from data is text, and what cannot be seen in it gets a sign.
"use strict";

/** @typedef {{tokens: string[], weights: number[]}} Weighted */
/** @typedef {{setting: string, texts: {prompt: string, text: string, at: number}[]}} Written */
/** @typedef {{title: string, chance?: number}} Column */
/** @typedef {{title: string, values: (number | null)[], note?: string[]}} Row */
/** @typedef {{columns: Column[], rows: Row[], row?: string, note?: string}} Rated */
/** @typedef {{title?: string, lists: Record<string, string[]>}} Lists */
/** @typedef {{texts?: Weighted[], lists?: Lists[], written?: Written, numbers?: Rated}} Content one of these */
/** @typedef {Content & {title: string, about?: string}} Part */
/** @typedef {{name: string, facts?: string[], words?: string[], parts?: Part[]}} Thing */
/** @typedef {{get: () => string, set: (value: string) => void}} Setting */

const Sheet = (() => {
  const { element } = Page;
  const SIGNS = new Map([["\n", "↵"], ["\r", "↵"], ["\t", "⇥"]]);
  const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200C\u200D])\p{Cf}/gu;
  const LABELS = new Set(["title", "about", "setting"]);

  /**
   * A text in which everything can be seen: line breaks and what would turn the direction of writing get signs.
   * @param {string} text
   */
  const visible = (text) => text.replace(UNSEEN, (one) => SIGNS.get(one) ?? `‹${one.codePointAt(0)?.toString(16)}›`);

  /** A token that stands alone; one of nothing but spaces shows them. @param {string} text */
  const token = (text) => (text.trim() || !text ? visible(text) || "∅" : visible(text.replaceAll(" ", "␣")));

  /** A few tokens in a line. @param {string[]} tokens @param {number} most */
  const inLine = (tokens, most) => tokens.slice(0, most).map((one) => token(one).trim()).join(" · ");

  /** The words that stand for a thing in a line. @param {Thing} thing @param {number} most */
  const words = ({ words, parts = [] }, most) => {
    const lists = parts.find((part) => part.lists)?.lists?.[0]?.lists ?? {};
    return inLine(words ?? Object.values(lists)[0] ?? [], most);
  };

  /** All that is said of a thing, to be searched. @param {any} value @param {string} [key] @returns {string} */
  const said = (value, key = "") => {
    if (value === null || typeof value !== "object") return String(value ?? "");
    if (Array.isArray(value)) return value.map((each) => said(each)).join(key === "tokens" ? "" : " ");
    return Object.entries(value).map(([name, each]) => (LABELS.has(name) ? "" : said(each, name))).join(" ");
  };

  const nothing = (told = "none recorded") => element("p", { class: "quiet sheet-nothing" }, told);

  /** @param {string} label @param {string[]} list */
  const tokens = (label, list) => {
    const items = list.map((one) => element("li", { title: JSON.stringify(one) }, element("bdi", {}, token(one))));
    const shown = list.length ? element("ul", { class: "tokens", "aria-label": label }, items) : nothing();
    return element("div", {}, element("p", { class: "sheet-label" }, label), shown);
  };

  /** @param {Lists[]} rows */
  const lists = (rows) =>
    rows.flatMap(({ title, lists }) => [
      title ? element("h4", {}, title) : null,
      element("div", { class: "sheet-pair" }, Object.entries(lists).map(([label, list]) => tokens(label, list))),
    ]);

  /** Texts with their tokens tinted by weight. @param {Weighted[]} list */
  const texts = (list) => {
    if (!list.length) return [nothing("no text that makes it active")];
    const largest = Math.max(...list.flatMap(({ weights }) => weights.map(Math.abs)), Number.MIN_VALUE);
    return [element("ol", { class: "texts" }, list.map((text) => element("li", {}, inText(text, largest))))];
  };

  /** The text, and in words where it is strongest. @param {Weighted} text @param {number} largest */
  const inText = ({ tokens, weights }, largest) => {
    const peak = weights.reduce((best, value, i) => (Math.abs(value) > Math.abs(weights[best]) ? i : best), 0);
    const pieces = tokens.flatMap((one, i) =>
      weights[i] ? fired(one, weights[i], largest, i === peak) : [visible(i ? one : one.trimStart())]
    );
    const told = `${Explorer.number(weights[peak], 1)} at “${visible(tokens[peak]).trim()}”`;
    return [element("p", { class: "text" }, pieces), element("p", { class: "quiet text-peak" }, told)];
  };

  /**
   * A token with a weight; the space before it stays outside of the tint, which then does not hang over a line's end.
   */
  const fired = (text, weight, largest, peak) => {
    const word = text.trimStart() || text;
    const more = { "data-sign": weight < 0 ? "down" : "up", title: `weight ${Explorer.number(weight)}` };
    const made = element("mark", { class: peak ? "fired fired--peak" : "fired", ...more }, visible(word));
    made.style.setProperty("--strength", `${Math.round((100 * Math.abs(weight)) / largest)}%`);
    return [visible(text.slice(0, text.length - word.length)), made];
  };

  const signed = (at) => `${at < 0 ? "−" : "+"}${Math.abs(at)}`;

  /**
   * What was written, unchanged beside the setting that is chosen or lies nearest to it.
   * @param {Written} written @param {Setting} setting
   */
  const wrote = ({ setting: named, texts }, setting) => {
    if (!texts.length) return [nothing("nothing was written")];
    const settings = [...new Set(texts.map(({ at }) => at))].filter(Boolean).sort((a, b) => a - b);
    const distance = (at) => Math.abs(at - Number(setting.get() || 1e9));
    const chosen = settings.reduce((best, at) => (distance(at) < distance(best) ? at : best), settings.at(-1) ?? 0);
    const holder = element("div", { "aria-live": "polite" });
    const show = (at) => holder.replaceChildren(...pairs(texts, named, at));
    show(chosen);
    return [picker(named, settings, chosen, (at) => (show(at), setting.set(String(at)))), holder];
  };

  /** @param {string} named @param {number[]} settings @param {number} chosen @param {(at: number) => void} choose */
  const picker = (named, settings, chosen, choose) => {
    const buttons = settings.map((at) => {
      const radio = element("input", { type: "radio", name: "setting", value: at, checked: at === chosen });
      return element("label", { class: "chip" }, radio, signed(at));
    });
    const group = element("fieldset", { class: "settings" }, element("legend", {}, named), buttons);
    group.addEventListener("input", ({ target }) => choose(Number(/** @type {HTMLInputElement} */ (target).value)));
    return group;
  };

  /** @param {Written["texts"]} texts @param {string} named @param {number} at */
  const pairs = (texts, named, at) => {
    const prompts = [...new Set(texts.map(({ prompt }) => prompt))];
    const side = (label, prompt, wanted) => {
      const found = texts.filter((text) => text.prompt === prompt && text.at === wanted).map(continued);
      const none = nothing(wanted ? "this setting could not be reached" : "not recorded");
      return element("div", {}, element("p", { class: "sheet-label" }, label), found.length ? found : none);
    };
    return prompts.map((prompt) =>
      element(
        "div",
        { class: "written" },
        side("unchanged", prompt, 0),
        at ? side(`${named} ${signed(at)}`, prompt, at) : null,
      )
    );
  };

  const continued = ({ prompt, text }) =>
    element("p", { class: "continuation" }, element("span", { class: "quiet" }, visible(prompt)), visible(text));

  /** @param {Rated} table */
  const numbers = ({ columns, rows, row = "", note }) => {
    const heads = columns.map(({ title, chance }) => {
      const by = chance === undefined
        ? null
        : element("span", { class: "by-chance" }, `chance ${Explorer.number(chance)}`);
      return element("th", { scope: "col" }, `${title} `, by);
    });
    const last = note ? element("th", { scope: "col" }, note) : null;
    const top = element("tr", {}, element("th", { scope: "col" }, row), heads, last);
    const body = rows.map((one) => numbered(one, columns, note));
    return [element("table", { class: "plain numbers" }, element("thead", {}, top), element("tbody", {}, body))];
  };

  /** @param {Row} row @param {Column[]} columns @param {string | undefined} noted */
  const numbered = ({ title, values, note }, columns, noted) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, title),
      columns.map((column, i) => bar(values[i], column)),
      noted ? element("td", { class: "numbers-note" }, inLine(note ?? [], 20) || "–") : null,
    );

  /**
   * A number and a bar, with a tick where chance lies.
   * @param {number | null} value @param {Column} column
   */
  const bar = (value, { title, chance }) => {
    if (typeof value !== "number") {
      return element("td", { class: "quiet", "data-label": title, title: "not measured" }, "–");
    }
    const over = chance !== undefined && value > chance;
    const shape = { class: "bar-drawn", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" };
    const drawn = element(
      "svg",
      shape,
      element("rect", { class: "bar-track", width: 100, height: 8 }),
      element("rect", { class: "bar-value", width: 100 * Math.min(Math.max(value, 0), 1), height: 8 }),
      chance === undefined ? null : element("rect", { class: "bar-chance", x: 100 * chance - 1, width: 2, height: 8 }),
    );
    return element("td", { class: over ? "over" : null, "data-label": title }, Explorer.number(value), drawn);
  };

  /** @param {Part} part @param {Setting} setting */
  const content = ({ texts: found, lists: rows, written, numbers: table }, setting) => {
    if (found) return texts(found);
    if (rows) return lists(rows);
    return written ? wrote(written, setting) : numbers(/** @type {Rated} */ (table));
  };

  /**
   * All parts of a thing: what is narrow side by side, what is wide below.
   * @param {Part[]} list @param {Setting} setting
   */
  const parts = (list, setting) => {
    const made = list.map((part) => {
      const about = part.about ? element("p", { class: "quiet" }, part.about) : null;
      const wide = part.written || part.numbers;
      return element(
        "section",
        { class: wide ? "sheet-wide" : null },
        element("h3", {}, part.title),
        about,
        content(part, setting),
      );
    });
    return element("div", { class: "sheet-parts" }, made);
  };

  /** @param {string[]} list */
  const facts = (list) => element("p", { class: "quiet sheet-facts" }, list.map(visible).filter(Boolean).join(" · "));

  return { visible, words, said, nothing, parts, facts };
})();
