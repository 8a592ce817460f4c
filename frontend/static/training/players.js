// @ts-check
/** Recordings on the dashboard, with the talk page's player. */

import { player } from "../voice/player.js";

/** Bring every `[data-player]` below `root` to life, once. @param {ParentNode} root */
export function players(root) {
  for (const place of root.querySelectorAll("[data-player]:not([data-ready])")) {
    if (!(place instanceof HTMLElement)) continue;
    place.dataset.ready = "true";
    const { url = "", seconds = "0", what = "" } = place.dataset;
    player(place, { url, seconds: Number(seconds), what });
  }
}
