// @ts-check
/** What a person has chosen, in the words of the protocol. Pure. */

import { PROTOCOL } from "./protocol.js";

/** @typedef {import("./types.js").SessionConfig} SessionConfig */
/** @typedef {import("./types.js").Hello} Hello */

const DIALS = /** @type {const} */ (["pitch_semitones", "energy_db", "rate", "accent", "intensity", "keep_audio", "mix", "mix_share"]);
const TOLD = /** @type {const} */ (["mode", "speaker", "emotion", "quantizers", "turn_taking", ...DIALS]);

/**
 * The first message of a connection.
 * @param {SessionConfig} wanted
 * @param {{codecs: string[], resume: string | null, client: string}} rest
 * @returns {Hello}
 */
export function hello(wanted, { codecs, resume, client }) {
  const { mode, turn_taking, speaker, emotion, quantizers } = wanted;
  const dials = Object.fromEntries(DIALS.map((name) => [name, wanted[name]]).filter(([, value]) => value != null));
  return { type: "hello", protocol: PROTOCOL, mode, turn_taking, speaker, emotion, quantizers, ...dials, codecs, resume, client };
}

/**
 * What was chosen while the connection was away, and has still to be told.
 * @param {SessionConfig} wanted
 * @param {SessionConfig} told what the server says is in force
 * @returns {Record<string, unknown>}
 */
export function untold(wanted, told) {
  const names = TOLD.filter((name) => wanted[name] != null && wanted[name] !== (told[name] ?? ""));
  return Object.fromEntries(names.map((name) => [name, wanted[name]]));
}
