// @ts-check
// A paper's claims: buttons of verdicts narrow the list, and a link to a claim opens it.
"use strict";

Page.ready(() => {
  const claims = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".claim")]);
  const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll(".tally")]);
  const count = /** @type {HTMLElement} */ (document.getElementById("claims-count"));
  if (!claims.length || !count) return;

  /** Show the claims of facts with one verdict; an empty one shows all. @param {string} verdict */
  function narrow(verdict) {
    for (const claim of claims) claim.hidden = Boolean(verdict) && claim.dataset.verdict !== verdict;
    for (const block of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".block"))) {
      block.hidden = !block.querySelector(".claim:not([hidden])");
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    const shown = claims.filter((claim) => !claim.hidden).length;
    count.textContent = verdict ? `${shown} of ${claims.length} claims: those of facts that are “${verdict}”` : "";
  }

  function opened() {
    const claim = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!claim || !claim.matches(".claim")) return;
    if (claim.hidden) narrow("");
    const more = claim.querySelector("details");
    if (more) more.open = true;
    claim.scrollIntoView({ block: "start" });
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") === "true";
      narrow(pressed ? "" : button.dataset.verdict ?? "");
      if (!pressed) document.getElementById("claims")?.scrollIntoView({ block: "start" });
    });
  }
  addEventListener("hashchange", opened);
  opened();
});
