// @ts-check
// A page inside of another one: `?embed=1` leaves an explorer, or the claim that the address names, and the links lead
// out of the frame. It runs before anything is drawn.
"use strict";

(() => {
  if (new URLSearchParams(location.search).get("embed") !== "1") return;
  document.documentElement.classList.add("embed");

  /** The same address as a page of its own. @param {string} address */
  const whole = (address) => {
    const url = new URL(address);
    url.searchParams.delete("embed");
    return url.href;
  };

  addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest?.("a");
    if (!link?.href || event.defaultPrevented) return;
    link.href = whole(link.matches(".embed-line a") ? location.href : link.href);
    link.target = "_top";
  });
})();
