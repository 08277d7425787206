// What scrolls sideways is reached by keys: lines of code, and tables, which the theme wraps late.
const reach = () => {
  for (const e of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap")) {
    if (e.tabIndex < 0) {
      e.tabIndex = 0;
      e.setAttribute("role", "region");
      e.setAttribute("aria-label", e.matches("code") ? "Code" : "Table");
    }
  }
};
document.addEventListener("DOMContentLoaded", () => {
  reach();
  new MutationObserver(reach).observe(document.body, { childList: true, subtree: true });
});
