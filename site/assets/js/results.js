// @ts-check
// The results page: narrows and sorts the table of claims, and keeps that in the address.
"use strict";

Page.ready(() => {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("results-filter"));
  const table = /** @type {HTMLTableElement} */ (document.getElementById("results"));
  const count = /** @type {HTMLElement} */ (document.getElementById("results-count"));
  if (!form || !table || !count) return;

  const groups = [...table.tBodies].map((body) => {
    const title = body.querySelector(".results-paper")?.textContent ?? "";
    const rows = /** @type {HTMLTableRowElement[]} */ ([...body.querySelectorAll("tr[data-verdicts]")]);
    return { body, rows: rows.map((row) => ({ row, words: Page.fold(`${title} ${row.textContent}`) })) };
  });
  const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const reset = /** @type {HTMLButtonElement} */ (form.querySelector("[type=reset]"));
  const heads = /** @type {HTMLTableCellElement[]} */ ([...table.querySelectorAll("th[data-sort]")]);
  const ownOrder = new Map(groups.flatMap(({ rows }) => rows.map(({ row }, place) => [row, place])));

  /** @param {{ row: HTMLTableRowElement, words: string }} one @param {FormData} wanted @param {string[]} words */
  function fits({ row, words: text }, wanted, words) {
    const model = wanted.get("model"), verdict = String(wanted.get("verdict"));
    const shown = model ? row.querySelector(`td[data-model="${model}"] .verdict`)?.textContent?.trim() : undefined;
    const given = model ? [shown] : (row.dataset.verdicts ?? "").split("|");
    return (!verdict || given.includes(verdict)) &&
      (!wanted.get("paper") || wanted.get("paper") === row.dataset.paper) &&
      (!wanted.get("differ") || row.dataset.differs !== undefined) &&
      words.every((word) => text.includes(word));
  }

  function apply() {
    const wanted = new FormData(form);
    const words = Page.words(String(wanted.get("words")));
    const model = wanted.get("model");
    for (const cell of /** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll("[data-model]"))) {
      cell.hidden = Boolean(model) && cell.dataset.model !== model;
    }
    let shown = 0;
    for (const { body, rows } of groups) {
      for (const one of rows) one.row.hidden = !fits(one, wanted, words);
      const fitting = rows.filter(({ row }) => !row.hidden).length;
      body.hidden = !fitting;
      shown += fitting;
    }
    const filtered = Page.state(form).size > 0;
    count.textContent = filtered ? `${shown} of ${total} claims` : `${total} claims`;
    reset.hidden = !filtered;
  }

  /** What a row is sorted by in a column. @param {HTMLTableRowElement} row @param {number} column */
  function key(row, column) {
    const cell = row.cells[column];
    const value = cell.querySelector(".results-value")?.textContent ?? "";
    return cell.dataset.rank ? `${cell.dataset.rank} ${value}` : cell.textContent?.trim() ?? "";
  }

  /** Sort each paper's rows by a column: up, down, and as they were. @param {HTMLTableCellElement} head */
  function sort(head) {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[/** @type {keyof next} */ (head.getAttribute("aria-sort") ?? "none")];
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    const sign = order === "descending" ? -1 : 1;
    for (const { body, rows } of groups) {
      const sorted = rows.map(({ row }) => row).sort((a, b) =>
        order === "none"
          ? (ownOrder.get(a) ?? 0) - (ownOrder.get(b) ?? 0)
          : sign * key(a, head.cellIndex).localeCompare(key(b, head.cellIndex), "en", { numeric: true })
      );
      body.append(...sorted);
    }
  }

  /** @param {{ step: boolean }} options */
  function changed({ step }) {
    apply();
    Page.keep(Page.state(form), { step });
  }

  function fromAddress() {
    Page.restore(form, new URLSearchParams(location.search));
    apply();
  }

  for (const head of heads) {
    const button = Page.element("button", { type: "button", class: "sort" }, head.textContent ?? "");
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(head));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    changed({ step: /** @type {HTMLInputElement} */ (target).name !== "words" });
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    Page.restore(form, new URLSearchParams());
    changed({ step: true });
    /** @type {HTMLInputElement} */ (form.elements.namedItem("words")).focus();
  });
  addEventListener("popstate", fromAddress);
  form.hidden = false;
  fromAddress();
});
