/**
 * Makes unfold's pages work with the CSP build of Alpine, which evaluates no code and sees no globals: what their
 * attributes name is registered here. Loaded after unfold's app.js (whose functions these are), before Alpine.
 */
(() => {
  const global = /** @type {any} */ (window);
  const OPEN = "sidebarDesktopOpen";

  /** @param {string} firstTab */
  function shell(firstTab) {
    return {
      activeTab: firstTab,
      sidebarMobileOpen: false,
      actionDropdownOpen: false, // asked for also where a page's action has no menu
      sidebarDesktopOpen: localStorage.getItem(OPEN) !== "0",
      sortRecords: global.sortRecords,
      // The tables hand these to the sorting library as they are.
      // @ts-ignore app.js declares it as a top-level constant
      moveRecords: typeof moveRecords === "function" ? moveRecords : undefined,
      // change_form.html reads the address; the real window is out of an attribute's reach.
      window: { location: { pathname: location.pathname, search: location.search } },
      init() {
        const self = /** @type {any} */ (this);
        if (firstTab) self.activeTab = global.getCurrentTab?.() || firstTab;
        self.$watch(OPEN, (/** @type {boolean} */ open) => localStorage.setItem(OPEN, open ? "1" : "0"));
      },
    };
  }

  document.addEventListener("alpine:init", () => {
    const { Alpine } = global;
    Alpine.data("shell", shell);
    for (const name of ["theme", "searchForm", "searchDropdown", "searchCommand"]) Alpine.data(name, global[name]);
  });
})();
