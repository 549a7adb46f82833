// @ts-check
// The search of the whole site: the theme draws it and asks a Worker for what to show. Here our ranking answers, in the
// page itself: it has the list of picks in common with the filter, and browsers start no Worker from file://.
"use strict";

const Search = (() => {
  const [SETUP, READY, QUERY, RESULT] = [0, 1, 2, 3];
  const EXCERPT = 160;
  const PAGES = 0.5; // of other pages beside picks, which readers come for
  const CLOSE = 0.6;
  const WORDS = /[\p{L}\p{M}\p{N}]+/gu;

  /** @typedef {{ location: string, title: string, text: string, boost?: number }} Section */

  /** What the search knows: the picks, and the sections of all other pages. */
  class Finder {
    /** @param {any} library @param {Section[]} docs */
    constructor({ picks, aliases, ranking }, docs) {
      this.sections = docs.map((doc) => ({ ...doc, title: plain(doc.title), text: plain(doc.text) }));
      this.picks = { ranking, shown: (/** @type {number} */ place) => pick(picks[place]) };
      this.pages = {
        ranking: new Ranking(this.sections.map(({ title, text }) => ({ title, text })), aliases),
        shown: (/** @type {number} */ place) => section(this.sections[place]),
      };
    }

    /** What has all words of a query or, failing that, most of them; as the theme draws it. @param {string} query */
    find(query) {
      if (!query.trim()) return [];
      const sides = [this.picks, this.pages].map(({ ranking, shown }) => ({ ...ranking.find(query), shown }));
      const all = sides.flatMap(({ hits, words, shown }) =>
        hits.map(({ place, lacks, score }) => ({ ...shown(place), lacks, words, score }))
      );
      for (const hit of all) hit.score *= hit.boost;
      const fewest = Math.min(...all.map(({ lacks }) => lacks.length));
      const best = all.filter(({ lacks }) => lacks.length === fewest).sort((a, b) => b.score - a.score);
      return this.#grouped(best);
    }

    /** Hits by page: those on one page stand below it, in the place of the best. @param {any[]} hits */
    #grouped(hits) {
      const groups = new Map();
      for (const hit of hits) {
        const [page] = hit.location.split("#");
        if (!groups.has(page)) groups.set(page, []);
        groups.get(page).push(hit);
      }
      return [...groups].map(([page, found]) => this.#item(page, found));
    }

    /** A page and its best sections, three at most. @param {string} page @param {any[]} found */
    #item(page, found) {
      const head = found.find(({ location }) => location === page);
      if (head === found[0]) return [drawn(head)];
      const close = found.filter(({ score }) => score > found[0].score * CLOSE);
      const top = this.sections.find(({ location }) => location === page) ?? found[0];
      return [
        { location: page, title: escaped(top.title), text: "", terms: {}, score: 0 },
        ...close.slice(0, 3).map(drawn),
      ];
    }
  }

  /** What of a pick is shown. @param {any} pick */
  const pick = ({ url, title, authors, date, venue, why, text, notebook }) => ({
    location: url,
    boost: 1,
    title,
    text: `${authors} ${why} ${text}`,
    about: (/** @type {Set<string>} */ words) =>
      [
        marked(Page.etAl(authors.split(", "), (name) => Ranking.stems(name).some((word) => words.has(word))), words),
        ...[date.slice(0, 4), venue].filter(Boolean).map(escaped),
        ...(notebook ? ["<b>can be run</b>"] : []),
      ].join(" · "),
  });

  /** @param {Section} section */
  const section = ({ location, title, text, boost }) => ({
    ...{ location, title, text },
    boost: PAGES * (boost ?? 1),
    about: (/** @type {Set<string>} */ words) => marked(excerpt(text, words), words),
  });

  /** A hit as the theme wants it; its words lead to marks on the page that it opens. @param {any} hit */
  const drawn = ({ location, title, text, about, lacks, words, score }) => ({
    location,
    score,
    get title() {
      return marked(title, words);
    },
    get text() {
      return `<p class="hit">${about(words)}</p>`;
    },
    get terms() {
      const spelled = `${title} ${text}`.match(WORDS)?.filter((word) => told(word, words)) ?? [];
      const small = new Set(spelled.map((word) => word.toLowerCase()));
      return Object.fromEntries([...[...small].map((word) => [word, true]), ...lacks.map((word) => [word, false])]);
    },
  });

  /** The stretch of a text around the first word that was asked for. @param {string} text @param {Set<string>} words */
  const excerpt = (text, words) => {
    const first = [...text.matchAll(WORDS)].find(([word]) => told(word, words))?.index ?? 0;
    const start = first < EXCERPT / 2 ? 0 : text.indexOf(" ", first - EXCERPT / 4) + 1;
    return (start ? "… " : "") + text.slice(start, start + EXCERPT) + (start + EXCERPT < text.length ? " …" : "");
  };

  /** @param {string} word @param {Set<string>} words */
  const told = (word, words) => Ranking.stems(word).some((stem) => words.has(stem));

  /** Text as HTML, with marks around what was asked for. @param {string} text @param {Set<string>} words */
  const marked = (text, words) => {
    let end = 0;
    const parts = [...text.matchAll(WORDS)].filter(([word]) => told(word, words)).map(({ 0: word, index }) => {
      const before = escaped(text.slice(end, index));
      end = index + word.length;
      return `${before}<mark>${escaped(word)}</mark>`;
    });
    return parts.join("") + escaped(text.slice(end));
  };

  /** @param {string} text */
  const escaped = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

  /** What a piece of HTML says. @param {string} html */
  const plain = (html) => {
    const parts = html.replace(/<\/(p|dt|dd|li|td|pre|h\d)>/g, " ");
    const text = new DOMParser().parseFromString(parts, "text/html").body.textContent ?? "";
    return text.replace(/\s+/g, " ").trim();
  };

  class Answering extends EventTarget {
    /** @type {Promise<Finder> | undefined} */
    #finder;

    /** @param {{ type: number, data: any }} message */
    async postMessage({ type, data }) {
      if (type === SETUP) this.#finder = Library.load().then((library) => new Finder(library, data.docs));
      const finder = await this.#finder;
      if (type === SETUP) this.#say(READY);
      if (type === QUERY) this.#say(RESULT, { items: finder?.find(data) });
    }

    /** @param {number} type @param {any} data */
    #say(type, data = undefined) {
      this.dispatchEvent(new MessageEvent("message", { data: { type, data } }));
    }
  }
  /** @type {any} */ (window).Worker = Answering;

  /** The field of the search. @returns {HTMLInputElement | null} */
  const field = () => document.querySelector(".md-search__input");

  // The theme listens for keys alone; what is pasted with the mouse or spoken comes without one.
  field()?.addEventListener("input", () => field()?.dispatchEvent(new KeyboardEvent("keyup")));

  /** Open the search with these words. @param {string} query */
  const open = (query) => {
    const input = field();
    if (!input) return;
    input.value = query;
    input.focus();
    input.dispatchEvent(new KeyboardEvent("keyup"));
  };

  return { open };
})();
