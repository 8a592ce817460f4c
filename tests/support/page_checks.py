"""What holds of every page: words in its language, every control reached, and shown to be, by keyboard."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

NAMES = "kbps kbit hifi dialogue TeluCodec Opus PESQ STOI FLAC WAV WebM Apache NOTICE HTTP JavaScript localhost English"
"""Latin words that a Telugu page has: units, formats, names."""

FOREIGN = """(names) => {
  const known = new Set(names.split(" "));
  const foreign = document.documentElement.lang === "en" ? /[\\u0c00-\\u0c7f]/ : /[A-Za-z]{4,}/g;
  const own = (place) => place.closest("[lang]").lang === document.documentElement.lang;
  const wrong = (words) => (words.match(foreign) ?? []).some((word) => !known.has(word));
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const place = walk.currentNode.parentElement;
    if (place.closest("script, style, code, noscript, svg, [aria-hidden=true]") || !own(place)) continue;
    if (wrong(walk.currentNode.data.replace(/“[^”]*”/g, ""))) found.push(walk.currentNode.data.trim());
  }
  for (const place of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      if (own(place) && wrong(place.getAttribute(name) ?? "")) found.push(`${name}: ${place.getAttribute(name)}`);
    }
  }
  return found;
}"""

CONTROLS = """() => {
  const visible = (place) => place.checkVisibility({ checkVisibilityCSS: true });
  const shown = (place) => visible(place) && !place.disabled && place.tabIndex >= 0;
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(shown);
  const name = (place) => place.type === "radio" ? `radio ${place.name}` : all.indexOf(place);
  window.__controls = { all, name, shown };
  return all.filter((place) => place.type !== "hidden").map((place) => [name(place), place.outerHTML.slice(0, 90)]);
}"""

FOCUSED = """() => {
  const place = document.activeElement;
  if (place === document.body || !place) return null;
  const drawn = (one) => one && ["outlineStyle"].some((name) => getComputedStyle(one)[name] !== "none");
  const label = place.closest("label");
  const seen = [place, place.nextElementSibling, label, place.parentElement].some(drawn);
  return [__controls.name(place), seen, place.outerHTML.slice(0, 90)];
}"""


GONE = """() => __controls.all.filter((place) => !__controls.shown(place)).map(__controls.name)"""


def foreign_words(page: Page) -> list[str]:
    """Text and labels that are not in the page's language and not marked as another's."""
    found: list[str] = page.evaluate(FOREIGN, NAMES)
    return [f"{page.url}: not in the page's language: {words}" for words in found]


def unreachable(page: Page) -> list[str]:
    """Controls that the Tab key does not reach, or that do not show that they are reached."""
    wanted: list[tuple[Any, str]] = page.evaluate(CONTROLS)
    wrong: list[str] = []
    page.locator("a.skip").focus()
    reached: set[Any] = {page.evaluate(FOCUSED)[0]}
    for _ in range(2 * len(wanted) + 4):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or focused[0] in reached:
            break
        reached.add(focused[0])
        if not focused[1]:
            wrong.append(f"{page.url}: no sign of focus: {focused[2]}")
    reached |= set(page.evaluate(GONE))  # what an answer that ended has hidden meanwhile nobody can reach
    return wrong + [f"{page.url}: not reached by Tab: {html}" for name, html in wanted if name not in reached]
