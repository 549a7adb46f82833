// Buttons that copy the text of another element, with and without the clipboard of secure pages.
"use strict";

(() => {
  const SHOWN = 2000;
  let status;

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("button.copy[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    answer(button, (await copied(source)) ? "Copied" : "Press Ctrl+C");
  });

  async function copied(source) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  }

  /** Say it on the button for a while, and to those who do not see it. */
  function answer(button, message) {
    button.dataset.label ??= button.textContent;
    button.textContent = message;
    button.classList.add("copy--done");
    status ??= document.body.appendChild(Page.element("p", { class: "sr-only", role: "status" }));
    status.textContent = message;
    clearTimeout(button.timer);
    button.timer = setTimeout(() => {
      button.textContent = button.dataset.label;
      button.classList.remove("copy--done");
      status.textContent = "";
    }, SHOWN);
  }
})();
