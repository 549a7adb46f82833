// @ts-check
// Curves: series over layers, steps or the like, with their intervals as bands. One group is shown at a time, series can
// be switched off, and every value can be read at a point: with the mouse, a finger or the arrow keys.
"use strict";

/** @typedef {(number | null)[]} Numbers */
/** @typedef {{name: string, group?: string, values: Numbers, low?: Numbers, high?: Numbers}} Series */
/** @typedef {[number, number]} Point */
/** @typedef {{"data-hue": number, "data-dash": number}} Look of a curve: its colour, and how its line is broken */

/** A straight scale from values to pixels, with round numbers to mark on it. */
class Scale {
  /** @param {Point} values @param {Point} pixels */
  constructor([least, most], pixels) {
    const pad = least === most ? Math.abs(least) / 10 || 1 : 0;
    this.least = least - pad;
    this.most = most + pad;
    this.pixels = pixels;
  }

  /** @param {number} value */
  at(value) {
    const [start, end] = this.pixels;
    return start + ((value - this.least) / (this.most - this.least)) * (end - start);
  }

  /** Round values, at most so many. @param {number} most @returns {number[]} */
  ticks(most) {
    const rough = (this.most - this.least) / Math.max(most, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
    const first = Math.ceil(this.least / step - 1e-9);
    const count = Math.floor(this.most / step + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }
}

/** The drawing of some series: axes, bands, lines, and a rule where the reader reads. */
class CurvesDrawing {
  static #SIDES = { top: 12, right: 14, bottom: 42, left: 54 };
  static #HEIGHT = [240, 400];

  /** @param {any} data @param {Series[]} all of the group, for the scale @param {number} width */
  constructor(data, all, width) {
    const { top, right, bottom, left } = CurvesDrawing.#SIDES;
    const [low, high] = CurvesDrawing.#HEIGHT;
    this.width = width;
    this.height = Math.min(Math.max(0.5 * width, low), high);
    this.data = data;
    this.x = new Scale(CurvesDrawing.#span(data.x.values), [left, width - right]);
    const seen = all.flatMap(({ values, low: l = [], high: h = [] }) => [...values, ...l, ...h]);
    const [least, most] = CurvesDrawing.#span(seen.filter((value) => value !== null));
    const pad = 0.05 * (most - least);
    this.y = new Scale([least - pad, most + pad], [this.height - bottom, top]);
  }

  /** @param {number[]} values @returns {Point} */
  static #span(values) {
    return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  }

  /** @param {{series: Series, look: Look}[]} shown */
  draw(shown) {
    const { element } = Page;
    const bands = shown.flatMap(({ series, look }) => this.#band(series, look));
    const lines = shown.flatMap(({ series, look }) => this.#line(series, look));
    const shape = {
      class: "curves-drawn",
      width: this.width,
      height: this.height,
      viewBox: `0 0 ${this.width} ${this.height}`,
    };
    this.rule = element("path", { class: "curves-rule" });
    this.dots = element("g", {});
    this.shown = shown;
    return element("svg", { ...shape, "aria-hidden": "true" }, this.#axes(), bands, this.rule, lines, this.dots);
  }

  #axes() {
    const { element } = Page;
    const [left, right] = this.x.pixels;
    const [bottom, top] = this.y.pixels;
    const text = (x, y, said, anchor = "middle") =>
      element("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor }, said);
    const along = this.y.ticks((bottom - top) / 44).flatMap((tick) => {
      const y = this.y.at(tick).toFixed(1);
      const line = element("path", { class: tick ? "curves-line" : "curves-zero", d: `M ${left} ${y} H ${right}` });
      return [line, text(left - 8, this.y.at(tick) + 4, Curves.number(tick), "end")];
    });
    const up = this.x.ticks((right - left) / 56).map((tick) => text(this.x.at(tick), bottom + 18, Curves.number(tick)));
    return [...along, ...up, text((left + right) / 2, bottom + 37, this.data.x.title)];
  }

  /** Stretches of values that are there. @param {(number | null)[]} values @returns {number[][]} */
  #stretches(values) {
    return values.reduce((found, value, i) => {
      if (value !== null && i && values[i - 1] !== null) found[found.length - 1].push(i);
      else if (value !== null) found.push([i]);
      return found;
    }, /** @type {number[][]} */ ([]));
  }

  /** @param {number} i @param {number | null} value */
  #point(i, value) {
    return `${this.x.at(this.data.x.values[i]).toFixed(1)} ${this.y.at(value ?? 0).toFixed(1)}`;
  }

  /** @param {Series} series @param {Look} look */
  #band({ low, high }, look) {
    if (!low || !high) return [];
    const whole = low.map((value, i) => (high[i] === null ? null : value));
    return this.#stretches(whole).map((places) => {
      const back = [...places].reverse().map((i) => this.#point(i, high[i]));
      const d = `M ${places.map((i) => this.#point(i, low[i])).join(" L ")} L ${back.join(" L ")} Z`;
      return Page.element("path", { class: "curves-band", ...look, d });
    });
  }

  /** @param {Series} series @param {Look} look */
  #line({ values }, look) {
    return this.#stretches(values).map((places) => {
      const d = `M ${places.map((i) => this.#point(i, values[i])).join(" L ")}`;
      return Page.element("path", { class: "curves-curve", ...look, d: places.length > 1 ? d : `${d} h 0.01` });
    });
  }

  /** Show where the reader reads. @param {number} i */
  mark(i) {
    const [bottom, top] = this.y.pixels;
    this.rule?.setAttribute("d", `M ${this.x.at(this.data.x.values[i]).toFixed(1)} ${bottom} V ${top}`);
    const there = (this.shown ?? []).filter(({ series }) => series.values[i] !== null);
    const dots = there.map(({ series, look }) =>
      Page.element("path", { class: "curves-dot", ...look, d: `M ${this.#point(i, series.values[i])} h 0.01` })
    );
    this.dots?.replaceChildren(...dots);
  }

  /** The place of the x that lies nearest to a pixel. @param {number} pixel */
  nearest(pixel) {
    const distance = (value) => Math.abs(this.x.at(value) - pixel);
    const values = /** @type {number[]} */ (this.data.x.values);
    return values.reduce((best, value, i) => (distance(value) < distance(values[best]) ? i : best), 0);
  }
}

/** The page: the group, the drawing, and the legend, in which series are switched and read. */
class Curves extends Explorer {
  /** @type {Series[]} */ all = [];
  /** @type {string[]} */ names = [];
  /** @type {string[]} */ groups = [];
  /** @type {Set<string>} the names of series that are switched off */ off = new Set();
  /** @type {Map<Series, HTMLElement>} where each value is told */ told = new Map();
  /** @type {CurvesDrawing | undefined} */ drawing;
  /** @type {Map<string, number>} which look each name has, counted */ looks = new Map();
  static #HUES = 6;
  static #DASHES = 4;
  static #KEYS = new Map([
    ["ArrowRight", 1],
    ["ArrowUp", 1],
    ["ArrowLeft", -1],
    ["ArrowDown", -1],
    ["Home", -Infinity],
    ["End", Infinity],
  ]);

  /** @param {HTMLElement} root */
  constructor(root) {
    super(root);
    this.frame = Page.element("div", {
      class: "curves-frame",
      tabindex: 0,
      role: "slider",
      "aria-label": "Read the values at",
    });
    this.legend = Page.element("fieldset", { class: "curves-legend" });
    this.caption = Page.element("p", { class: "curves-y quiet" });
    this.#hear();
    new ResizeObserver(() => this.drawing && this.frame.clientWidth !== this.drawing.width && this.draw()).observe(
      this.frame,
    );
  }

  #hear() {
    const at = (event) => this.drawing?.nearest(event.clientX - this.frame.getBoundingClientRect().left) ?? 0;
    this.frame.addEventListener("pointermove", (event) => this.#read(at(event)));
    this.frame.addEventListener("pointerleave", () => this.#read(this.#fixed));
    this.frame.addEventListener("click", (event) => this.#fix(at(/** @type {PointerEvent} */ (event))));
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    this.legend.addEventListener("input", () => this.#switched());
  }

  take() {
    this.all = this.data.series;
    this.names = [...new Set(this.all.map(({ name }) => name))];
    this.groups = [...new Set(this.all.map(({ group = "" }) => group))];
    this.looks = new Map();
    for (const name of this.names) this.looks.set(name, this.#free(name));
  }

  /** The first look that nothing beside this name has, in whatever group. @param {string} name */
  #free(name) {
    const groups = new Set(this.all.filter((series) => series.name === name).map(({ group }) => group));
    const beside = this.all.filter(({ group }) => groups.has(group));
    const taken = new Set(beside.map((series) => this.looks.get(series.name)));
    return [...Array(taken.size + 1).keys()].find((look) => !taken.has(look)) ?? 0;
  }

  fields() {
    const options = this.groups.map((group) => Explorer.option(group, group || "the others"));
    return [Explorer.choice("Show", "group", options)];
  }

  parts() {
    return [this.caption, this.frame, this.legend];
  }

  state() {
    const params = super.state();
    for (const name of this.off) params.append("off", name);
    return params;
  }

  restore(params) {
    super.restore(params);
    this.off = new Set(params.getAll("off").filter((name) => this.names.includes(name)));
  }

  /** The series of the chosen group. */
  get #group() {
    return this.all.filter(({ group = "" }) => group === this.value("group"));
  }

  /**
   * A name looks the same in every group; once colours begin anew, each has another dash than before.
   * @param {Series} series @returns {Look}
   */
  #look({ name }) {
    const look = this.looks.get(name) ?? 0;
    const dash = (look + Math.floor(look / Curves.#HUES)) % Curves.#DASHES;
    return { "data-hue": look % Curves.#HUES, "data-dash": dash };
  }

  draw() {
    this.caption.textContent = this.data.y.title;
    this.#list();
    this.#redraw();
  }

  #redraw() {
    const shown = this.#group.filter(({ name }) => !this.off.has(name)).map((series) => ({
      series,
      look: this.#look(series),
    }));
    this.drawing = new CurvesDrawing(this.data, this.#group, this.frame.clientWidth);
    this.frame.replaceChildren(this.drawing.draw(shown));
    this.#read(this.#fixed);
  }

  /** The series with a switch, a line and room for a number each. */
  #list() {
    const { element } = Page;
    this.point = element("legend", {});
    this.told = new Map(this.#group.map((series) => [series, element("span", { class: "curves-value" })]));
    const items = this.#group.map((series) => {
      const box = element("input", { type: "checkbox", value: series.name, checked: !this.off.has(series.name) });
      const line = element(
        "svg",
        { class: "curves-swatch", viewBox: "0 0 34 4", "aria-hidden": "true" },
        element("path", { class: "curves-stroke", ...this.#look(series), d: "M 2 2 H 32" }),
      );
      return element("label", {}, box, line, element("span", {}, Sheet.visible(series.name)), this.told.get(series));
    });
    this.legend.replaceChildren(this.point, ...items);
  }

  #switched() {
    const boxes = /** @type {HTMLInputElement[]} */ ([...this.legend.querySelectorAll("input")]);
    this.off = new Set(boxes.filter(({ checked }) => !checked).map(({ value }) => value));
    this.#redraw();
    this.keep({ step: true });
  }

  /** Where the reader has fixed the point, by x; the last one at first. */
  get #fixed() {
    const values = /** @type {number[]} */ (this.data.x.values);
    const place = values.map(String).indexOf(this.value("at"));
    return place === -1 ? values.length - 1 : place;
  }

  #fix(i) {
    this.put("at", String(this.data.x.values[i]));
    this.#read(i);
    this.keep();
  }

  /** Tell every value at a point. @param {number} i */
  #read(i) {
    const { x } = this.data;
    const point = `${x.title} ${Curves.number(x.values[i])}`;
    this.drawing?.mark(i);
    this.point?.replaceChildren(point);
    for (const [series, holder] of this.told) holder.replaceChildren(...Curves.#told(series, i));
    const told = this.#group.filter(({ name }) => !this.off.has(name)).map((series) =>
      `${series.name} ${Curves.#plain(series, i)}`
    );
    const now = {
      "aria-valuemin": 0,
      "aria-valuemax": x.values.length - 1,
      "aria-valuenow": i,
      "aria-valuetext": `${point}: ${told.join("; ")}`,
    };
    for (const [name, value] of Object.entries(now)) this.frame.setAttribute(name, String(value));
  }

  /** A value, and its interval beside it. @param {Series} series @param {number} i */
  static #told({ values, low, high }, i) {
    const interval = low && high && low[i] !== null ? ` ${Curves.number(low[i])} to ${Curves.number(high[i])}` : "";
    return [Curves.number(values[i]), Page.element("span", { class: "quiet" }, interval)];
  }

  /** @param {Series} series @param {number} i */
  static #plain(series, i) {
    return Curves.#told(series, i).map((part) => (typeof part === "string" ? part : part.textContent)).join("");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = Curves.#KEYS.get(event.key);
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#fix(Math.max(0, Math.min(this.data.x.values.length - 1, this.#fixed + step)));
  }

  /** @param {number | null | undefined} value */
  static number(value) {
    return Explorer.written(value);
  }

  table() {
    const { x } = this.data;
    const heads = [x.title, ...this.#group.map(({ name }) => Sheet.visible(name))];
    const rows = x.values.map((value, i) => [
      Curves.number(value),
      ...this.#group.map((series) => Curves.#plain(series, i)),
    ]);
    return { heads, rows };
  }
}

Explorer.start(Curves);
