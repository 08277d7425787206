// What scrolls sideways is reached by keys: code, drawings, and tables, which the theme wraps late.
const sideways = ".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset .drawing";
const reach = () => {
  for (const e of document.querySelectorAll(sideways)) {
    if (e.tabIndex < 0) {
      e.tabIndex = 0;
      e.setAttribute("role", "region");
      e.setAttribute("aria-label", e.matches("code") ? "Code" : e.matches(".drawing") ? "Drawing" : "Table");
    }
  }
};
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  reach();
  new MutationObserver(reach).observe(document.body, { childList: true, subtree: true });
});
