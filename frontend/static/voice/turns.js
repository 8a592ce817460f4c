// @ts-check
/**
 * The list of what was said, newest first. One's own voice: a card with both recordings. A conversation: a bubble for
 * each side, hers with the time she took, by stage.
 */

import { player } from "./player.js";
import { label, pageLanguage } from "./words.js";

/** @typedef {import("./types.js").TurnStored} TurnStored */

const KEPT = 30;

/**
 * What made up the delay, in the order in which it arises, ms. `server_ms` covers queue, encoder and decoder; what is
 * left of it is the way between web process and inference server.
 * @param {Record<string, number>} latency as stored with the turn; `device_ms` is this page's own
 * @returns {{stage: string, ms: number}[]}
 */
export function stages(latency) {
  const known = (/** @type {string} */ name) => Math.max(0, latency[name] ?? 0);
  const inside = known("queue_ms") + known("encode_ms") + known("decode_ms");
  return [
    { stage: "device_ms", ms: known("device_ms") },
    { stage: "network_ms", ms: known("network_ms") },
    { stage: "queue_ms", ms: known("queue_ms") },
    { stage: "encode_ms", ms: known("encode_ms") },
    { stage: "decode_ms", ms: known("decode_ms") },
    { stage: "server_rest_ms", ms: Math.max(0, known("server_ms") - inside) },
    { stage: "playback_ms", ms: known("playback_ms") },
  ].filter(({ ms }) => ms > 0);
}

/**
 * What made up the silence before an answer, in the order in which it arises, ms. `server_ms` of the inference server
 * covers the first frame's making, unless that was made while the end of the question was not certain.
 * @param {Record<string, number>} latency as stored with her turn
 * @returns {{stage: string, ms: number}[]}
 */
export function answerStages(latency) {
  const known = (/** @type {string} */ name) => Math.max(0, latency[name] ?? 0);
  return [
    { stage: "endpoint_ms", ms: known("endpoint_ms") },
    { stage: "answer_ms", ms: known("server_ms") },
    { stage: "server_rest_ms", ms: known("web_ms") },
    { stage: "network_ms", ms: known("network_ms") },
    { stage: "playback_ms", ms: known("playback_ms") },
    { stage: "device_ms", ms: known("device_ms") },
  ].filter(({ ms }) => ms > 0);
}

export class Turns {
  /**
   * @param {HTMLElement} list
   * @param {HTMLTemplateElement} template of one turn
   * @param {HTMLElement} empty shown while there is none
   */
  constructor(list, template, empty) {
    this.list = list;
    this.template = template;
    this.empty = empty;
    this.count = 0;
  }

  /**
   * @param {TurnStored} turn
   * @param {string} voice who speaks and how, in words
   * @param {number} deviceMs what filling a frame and the sound card take
   * @param {boolean} talk part of a conversation
   * @param {number | null} silenceMs what was heard before it, as measured here
   */
  add(turn, voice, deviceMs, talk = false, silenceMs = null) {
    const language = pageLanguage();
    const fragment = /** @type {DocumentFragment} */ (this.template.content.cloneNode(true));
    const item = /** @type {HTMLElement} */ (fragment.firstElementChild);
    const find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (item.querySelector(`[data-part="${name}"]`));
    this.count += 1;
    const seconds = turn.duration_ms / 1000;
    const hers = turn.role === "assistant";
    item.dataset.turn = turn.id;
    item.dataset.role = talk ? turn.role : "both";
    find("title").textContent = talk && !hers ? label(language, "you") : hers ? voice : label(language, "turn", { n: this.count });
    find("voice").textContent = talk ? "" : voice;
    if (turn.interrupted_at_ms != null) {
      const at = (turn.interrupted_at_ms / 1000).toFixed(1);
      find("voice").textContent = label(language, "interrupted_at", { n: at });
    }
    find("duration").textContent = label(language, "seconds", { n: seconds.toFixed(1) });
    const what = label(language, hers ? "answer" : "microphone");
    if (turn.audio_url) player(find("microphone"), { url: turn.audio_url, seconds, what });
    else find("microphone").remove();
    if (hers) find("microphone-name")?.replaceChildren(label(language, "answer"));
    const output = turn.output_url;
    if (output) player(find("codec"), { url: output, seconds, what: label(language, "codec") });
    else find("codec").remove();
    const latency = { ...turn.latency, device_ms: deviceMs };
    const parts = hers ? answerStages(latency) : talk ? [] : stages(latency);
    if (hers && silenceMs !== null) {
      item.dataset.silence = String(Math.round(silenceMs));
      const rest = silenceMs - parts.reduce((sum, { ms }) => sum + ms, 0);
      if (rest >= 1) parts.push({ stage: "other_ms", ms: rest });
    }
    this.#latency(find("latency"), find("legend"), parts, hers ? "answered_after" : "heard_after", silenceMs);
    this.empty.hidden = true;
    this.list.prepend(item);
    while (this.list.children.length > KEPT) this.list.lastElementChild?.remove();
  }

  /** What was probably said, marked as such. @param {{turn: string, text: string}} caption */
  caption({ turn, text }) {
    const place = this.list.querySelector(`[data-turn="${CSS.escape(turn)}"] [data-part="caption"]`);
    if (!(place instanceof HTMLElement) || !text) return;
    const mark = document.createElement("small");
    mark.textContent = `≈ ${label(pageLanguage(), "approximate")}`;
    const words = document.createElement("span");
    words.lang = "te";
    words.textContent = text;
    place.replaceChildren(words, mark);
    place.hidden = false;
  }

  /**
   * @param {HTMLElement} bar
   * @param {HTMLElement} legend
   * @param {{stage: string, ms: number}[]} parts
   * @param {string} words
   * @param {number | null} silenceMs
   */
  #latency(bar, legend, parts, words, silenceMs) {
    const language = pageLanguage();
    const total = parts.reduce((sum, { ms }) => sum + ms, 0);
    if (total === 0) {
      bar.parentElement?.remove();
      return;
    }
    const heading = document.createElement("b");
    heading.textContent =
      silenceMs === null
        ? label(language, words, { n: Math.round(total) })
        : label(language, "silence_heard", { n: Math.round(silenceMs) });
    legend.append(heading);
    for (const { stage, ms } of parts) {
      const piece = document.createElement("span");
      piece.dataset.stage = stage;
      piece.style.setProperty("--share", String(ms / total));
      bar.append(piece);
      const word = document.createElement("span");
      word.dataset.stage = stage;
      word.textContent = `${label(language, stage)} ${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)}`;
      legend.append(word);
    }
  }
}
