// @ts-check
// How picks and pages are found: one ranking, for the filter of the list and for the search of the whole site.
"use strict";

/**
 * Texts by field, ranked for a query. It knows endings of the plural, two ways of spelling, names that mean the same,
 * words that are not typed to the end, and slips of the fingers.
 */
class Ranking {
  /** What a word counts where it stands. @type {Record<string, number>} */
  static #WEIGHTS = {
    ...{ id: 20, title: 8, authors: 8, titles: 6, tags: 6, venue: 5, models: 4, kind: 3, day: 3, why: 2, text: 1 },
    claims: 0.5,
  };
  static #PREFIX = 0.6;
  static #WITHIN = 0.3;
  static #SLIP = 0.4;
  static #STOP = new Set(
    ("a about an and are as at be by can do does for from how i in into is it its me of on or over paper papers that " +
      "the their there these this to us we what when where which who why with work works").split(" "),
  );

  /** Where each word stands: places and weights in turn. @type {Map<string, number[]>} */
  #words = new Map();
  /** @type {string[]} */
  #titles;

  /** @param {Record<string, string>[]} texts @param {string[][]} aliases groups of names that mean the same */
  constructor(texts, aliases) {
    this.size = texts.length;
    texts.forEach((fields, place) => {
      for (const [field, text] of Object.entries(fields)) this.#read(text, place, Ranking.#WEIGHTS[field]);
    });
    this.#titles = texts.map(({ title }) => ` ${Ranking.#telling(Ranking.stems(title)).join(" ")} `);
    this.aliases = aliases.map((names) => names.map((name) => Ranking.stems(name)));
  }

  /**
   * A word with hyphens counts in parts and in one.
   * @param {string} text @param {number} place @param {number} weight
   */
  #read(text, place, weight) {
    const parted = text.split(/\s+/).filter((word) => /\p{Pd}/u.test(word));
    const joined = parted.map((word) => word.replace(/\p{Pd}/gu, ""));
    for (const word of new Set(Ranking.stems([text, ...joined].join(" ")))) {
      let places = this.#words.get(word);
      if (!places) this.#words.set(word, places = []);
      if (places.at(-2) === place) places[places.length - 1] += weight;
      else places.push(place, weight);
    }
  }

  // Words

  /** @type {Map<string, string>} */
  static #stemmed = new Map();

  /** The words of a text as they are compared. @param {string} text */
  static stems(text) {
    return Page.fold(text).split(/\s+/).filter(Boolean).map(Ranking.stem);
  }

  /** A folded word without the ending of a plural, in one of two spellings. @param {string} word */
  static stem(word) {
    let stem = Ranking.#stemmed.get(word);
    if (stem === undefined) Ranking.#stemmed.set(word, stem = Ranking.#cut(word));
    return stem;
  }

  /** @param {string} word */
  static #cut(word) {
    const spelled = word.replace(/iz(?=(e|ed|es|er|ers|ing|ations?)$)/, "is").replace(/(?<=\w{3})our/, "or");
    if (spelled.length < 3 || /(ss|us|is)$/.test(spelled)) return spelled;
    return spelled.replace(/(?<=[ey])ses$/, "sis").replace(/ies$/, "y").replace(/s$/, "");
  }

  /** The words that tell one text from another; all of them if none does. @param {string[]} words */
  static #telling(words) {
    const told = words.filter((word) => !Ranking.#STOP.has(word));
    return told.length ? told : words;
  }

  // Queries

  /**
   * What fits a query, the best first: those that have all of it (`whole`), then those that lack some of its words.
   * @param {string} query
   */
  find(query) {
    const needs = this.#needs(Page.words(query).map(Ranking.stem));
    /** @type {Set<string>} */
    const words = new Set();
    const found = needs.map((ways) => this.#fitting(ways, words));
    const phrase = needs.map(([way]) => way.join(" ")).join(" ");
    const hits = Array.from({ length: this.size }, (_, place) => this.#hit(place, needs, found, phrase));
    const fit = hits.filter(({ lacks }) => !needs.length || lacks.length < needs.length);
    return { words, hits: fit.sort((a, b) => a.lacks.length - b.lacks.length || b.score - a.score) };
  }

  /** @param {number} place @param {string[][][]} needs @param {Map<number, number>[]} found @param {string} phrase */
  #hit(place, needs, found, phrase) {
    const lacks = needs.filter((_, at) => !found[at].has(place)).map(([way]) => way.join(" "));
    const rare = (/** @type {Map<number, number>} */ places) => Math.log(1 + this.size / places.size);
    const sum = found.reduce((score, places) => score + (places.size && (places.get(place) ?? 0) * rare(places)), 0);
    const title = this.#titles[place];
    const said = phrase && title.includes(` ${phrase}`) ? phrase.length / title.length : 0;
    return { place, lacks, whole: !lacks.length, score: sum * (1 + said) };
  }

  /**
   * What has to be found, each in one of several ways: a word, two words in one, or other names of the same thing.
   * @param {string[]} words @returns {string[][][]}
   */
  #needs(words) {
    const needs = [];
    const telling = new Set(Ranking.#telling(words));
    for (let at = 0; at < words.length;) {
      const { length, ways } = this.#named(words.slice(at)) ?? this.#joined(words[at], words[at + 1]);
      if (length > 1 || telling.has(words[at])) needs.push(ways);
      at += length;
    }
    return needs;
  }

  /** The longest alias that words begin with. @param {string[]} words */
  #named(words) {
    const begins = (/** @type {string[]} */ name) => name.every((word, at) => word === words[at]);
    const known = this.aliases.flatMap((names) => names.filter(begins).map((name) => ({ name, names })));
    if (!known.length) return null;
    const { name, names } = known.reduce((a, b) => (b.name.length > a.name.length ? b : a));
    return { length: name.length, ways: [name, ...names.filter((other) => other !== name)].map(Ranking.#telling) };
  }

  /** @param {string} word @param {string | undefined} next */
  #joined(word, next) {
    const one = word + (next ?? "");
    const known = next && this.#words.has(one);
    return known ? { length: 2, ways: [[word, next], [one]] } : { length: 1, ways: [[word]] };
  }

  /**
   * How well each place fits the best of several ways to say it.
   * @param {string[][]} ways @param {Set<string>} marked
   */
  #fitting(ways, marked) {
    const best = new Map();
    for (const way of ways) {
      const [first, ...others] = way.map((word) => this.#places(word, marked));
      for (const [place, weight] of first) {
        if (!others.every((places) => places.has(place))) continue;
        const mean = others.reduce((sum, places) => sum + places.get(place), weight) / way.length;
        best.set(place, Math.max(best.get(place) ?? 0, mean));
      }
    }
    return best;
  }

  /**
   * Where a word stands, or one that begins with it, or has it within; failing all, one that is spelled nearly so.
   * @param {string} word @param {Set<string>} marked
   */
  #places(word, marked) {
    const places = new Map();
    for (const share of [Ranking.#share, Ranking.#slip]) {
      for (const [known, at] of this.#words) {
        const likeness = share(word, known);
        if (!likeness) continue;
        marked.add(known);
        for (let i = 0; i < at.length; i += 2) {
          places.set(at[i], Math.max(places.get(at[i]) ?? 0, likeness * at[i + 1]));
        }
      }
      if (places.size) break;
    }
    return places;
  }

  /** @param {string} word @param {string} known */
  static #share(word, known) {
    if (word === known) return 1;
    if (known.startsWith(word)) return Ranking.#PREFIX;
    return word.length > 3 && known.includes(word) ? Ranking.#WITHIN : 0;
  }

  /** @param {string} word @param {string} known */
  static #slip(word, known) {
    const most = word.length < 5 ? 0 : word.length < 9 ? 1 : 2;
    const slipped = most && Ranking.distance(word, known, most) <= most;
    return slipped || Ranking.#kin(word, known) ? Ranking.#SLIP : 0;
  }

  /** Whether two words differ in their ending alone: steered, steering. @param {string} word @param {string} known */
  static #kin(word, known) {
    const begin = Math.max(5, word.length - 3, known.length - 3);
    return word.slice(0, begin) === known.slice(0, begin);
  }

  /**
   * How many letters have to be put in, left out, changed or swapped with the next; one more than `most` if there are
   * more of them.
   * @param {string} a @param {string} b @param {number} most
   */
  static distance(a, b, most) {
    if (Math.abs(a.length - b.length) > most) return most + 1;
    /** @type {number[]} */
    let last = [];
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        const same = a[i - 1] === b[j - 1] ? 0 : 1;
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + same);
        if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j], last[j - 2] + 1);
      }
      if (Math.min(...next) > most) return most + 1;
      [last, row] = [row, next];
    }
    return row[b.length];
  }
}

/** The list that the site comes with and its ranking, loaded once for all who ask. */
const Library = (() => {
  /** @type {Promise<{ picks: any[], aliases: string[][], ranking: Ranking }> | undefined} */
  let loading;

  const load = () => {
    const source = new URL("assets/data/picks.js", /** @type {any} */ (window).__md_scope);
    loading ??= Page.load(source.href, "PICKS").then(({ picks, aliases }) => ({
      picks,
      aliases,
      ranking: new Ranking(picks.map(fields), aliases),
    }));
    return loading;
  };

  /** @param {any} pick */
  const fields = ({ id, title, titles, authors, tags, venue, models, kind, day, why, text, claims }) => ({
    ...{ id, title, authors, kind, day, why, text, claims },
    titles: titles.join(" "),
    tags: tags.join(" "),
    models: models.join(" "),
    venue: venue ?? "",
  });

  return { load };
})();
