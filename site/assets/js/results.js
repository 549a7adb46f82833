// The results page: narrows the table of claims by words, verdict, model and paper, and keeps that in the address.
"use strict";

Page.ready(() => {
  const form = document.getElementById("results-filter");
  const table = document.getElementById("results");
  if (!form || !table) return;

  const groups = [...table.tBodies].map((body) => {
    const title = body.querySelector(".results-paper")?.textContent ?? "";
    const rows = [...body.querySelectorAll("tr[data-verdict]")];
    return { body, rows: rows.map((row) => ({ row, words: Page.fold(`${title} ${row.textContent}`) })) };
  });
  const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const count = document.getElementById("results-count");
  const reset = form.querySelector("[type=reset]");

  function apply() {
    const wanted = new FormData(form);
    const words = Page.words(wanted.get("words"));
    const fits = ({ row, words: text }) =>
      ["verdict", "model", "paper"].every((key) => !wanted.get(key) || wanted.get(key) === row.dataset[key]) &&
      words.every((word) => text.includes(word));
    let shown = 0;
    for (const { body, rows } of groups) {
      const fitting = rows.filter((one) => {
        one.row.hidden = !fits(one);
        return !one.row.hidden;
      });
      body.hidden = !fitting.length;
      shown += fitting.length;
    }
    const filtered = Page.state(form).size > 0;
    count.textContent = filtered ? `${shown} of ${total} results` : `${total} results`;
    reset.hidden = !filtered;
  }

  function changed({ step }) {
    apply();
    Page.keep(Page.state(form), { step });
  }

  function fromAddress() {
    Page.restore(form, new URLSearchParams(location.search));
    apply();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => changed({ step: target.name !== "words" }));
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    Page.restore(form, new URLSearchParams());
    changed({ step: true });
    form.elements.words.focus();
  });
  addEventListener("popstate", fromAddress);
  form.hidden = false;
  fromAddress();
});
