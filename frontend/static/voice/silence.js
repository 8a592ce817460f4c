// @ts-check
/**
 * How long it was quiet between a person's last word and the first sound of the answer, on this page's own clock: the
 * server tells at which point of the microphone's audio the speech ended, and here is known when that point left.
 */

import { FRAME_MS } from "./protocol.js";

/** Frames whose leaving is remembered: a minute, more than any turn. */
const FRAMES = 3000;
const ANSWERS = 20;

/** @typedef {Record<string, number>} Latency as the server tells of an answer, when it begins and when it is stored */

export class Silence {
  constructor() {
    /** @type {Map<number, number>} frame number -> when it was complete */
    this.left = new Map();
    /** @type {number | null} */
    this.endedAt = null;
    /** Answers that began, the last one last. @type {{latency: Latency, ms: number | null}[]} */
    this.answers = [];
  }

  /** A frame of the microphone left. @param {number} mediaMs its begin @param {number} now */
  frame(mediaMs, now) {
    const number = Math.round(mediaMs / FRAME_MS);
    this.left.set(number, now);
    this.left.delete(number - FRAMES);
  }

  /** The server says where the speech ended. @param {number} endMs media time */
  ended(endMs) {
    this.endedAt = this.left.get(Math.round(endMs / FRAME_MS) - 1) ?? null;
  }

  /** An answer is on its way. @param {Latency} latency */
  answered(latency) {
    this.answers = [...this.answers.slice(1 - ANSWERS), { latency, ms: null }];
  }

  /** Sound begins. @param {number} now @param {number} outputMs until it is in the air */
  began(now, outputMs) {
    const answer = this.answers.at(-1);
    if (!answer || answer.ms !== null || this.endedAt === null) return;
    answer.ms = Math.max(0, now + outputMs - this.endedAt);
    this.endedAt = null;
  }

  /**
   * What was measured before a stored answer: an interrupted one may be stored after the next has begun, and the times
   * that the server took tell which it is.
   * @param {Latency} latency
   * @returns {number | null}
   */
  before(latency) {
    const same = (/** @type {Latency} */ other) => Math.abs(other.first_token_ms - latency.first_token_ms) < 0.002;
    return this.answers.find((answer) => same(answer.latency))?.ms ?? null;
  }

  /** A new connection counts its audio anew. */
  restart() {
    this.left.clear();
    this.endedAt = null;
  }
}
