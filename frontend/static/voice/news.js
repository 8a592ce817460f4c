// What the server tells anew about a session's configuration.

/** @typedef {import("./types.js").SessionConfig} SessionConfig */

/**
 * What differs from what was told before. The echo of one choice may arrive after the next one was made: what it
 * says about that one is no news, and must not undo it.
 * @param {SessionConfig} config @param {SessionConfig | null} before @returns {Partial<SessionConfig>}
 */
export function news(config, before) {
  if (before === null) return config;
  const known = new Map(Object.entries(before));
  return Object.fromEntries(Object.entries(config).filter(([name, value]) => known.get(name) !== value));
}
