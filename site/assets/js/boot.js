// Runs before Material's bundle. First what Material expects of an inline script, which our pages do not allow:
// small settings kept in localStorage under this site's path.
var __md_scope = new URL(document.currentScript.dataset.base, location);
var __md_hash = (text) => [...text].reduce((hash, letter) => (hash << 5) - hash + letter.charCodeAt(0), 0);
var __md_get = (key, storage = localStorage, scope = __md_scope) =>
  JSON.parse(storage.getItem(`${scope.pathname}.${key}`));
var __md_set = (key, value, storage = localStorage, scope = __md_scope) => {
  try {
    storage.setItem(`${scope.pathname}.${key}`, JSON.stringify(value));
  } catch {
    // No storage, no memory: the page works all the same.
  }
};

// What scripts alone can work is there from the first line on, so that nothing moves when they have come.
document.documentElement.classList.replace("no-js", "js");

// On every page Material asks for the whole search index, and for the sitemap, which it needs only for features that
// are off here. The index waits until the reader turns to the search; the sitemap is not asked for.
(() => {
  let open;
  const wanted = new Promise((resolve) => (open = resolve));
  const never = new Promise(() => {});
  const held = { "search/search_index.json": wanted, "sitemap.xml": never };
  const asked = new URLSearchParams(location.search);
  if (asked.has("q") || asked.has("h")) open(); // a question from elsewhere, words to mark on this page
  const { open: prepare, send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    this.until = Object.entries(held).find(([path]) => String(url).endsWith(path))?.[1];
    return prepare.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (this.until) this.until.then(() => send.apply(this, body));
    else send.apply(this, body);
  };
  addEventListener("focusin", ({ target }) => target.matches?.(".md-search__input") && open());
  addEventListener("change", ({ target }) => target.matches?.("#__search") && open());
})();
