// @ts-check
/** One conversation, turn by turn: every recording gets its player. */

import { player } from "../voice/player.js";

for (const root of document.querySelectorAll(".player[data-url]")) {
  if (!(root instanceof HTMLElement)) continue;
  const { url = "", ms = "0", what = "" } = root.dataset;
  player(root, { url, seconds: Number(ms) / 1000, what });
}
