// Buttons that copy the text of another element, with and without the clipboard of secure pages.
"use strict";

(() => {
  const SHOWN = 2000;
  let status;

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("button.copy");
    if (!button) return;
    const done = button.dataset.copy
      ? await copied(document.querySelector(button.dataset.copy))
      : await copiedText(location.href.split("#")[0] + (button.dataset.copyAddress ?? ""));
    answer(button, done ? "Copied" : "Press Ctrl+C");
  });

  async function copied(source) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      source.closest("details")?.setAttribute("open", ""); // what is folded away cannot be selected
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  }

  /** Copy a text that does not stand on the page; it does for a moment where there is no clipboard to write to. */
  async function copiedText(text) {
    const source = document.body.appendChild(Page.element("p", { class: "sr-only" }, text));
    const done = await copied(source);
    source.remove();
    return done;
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
