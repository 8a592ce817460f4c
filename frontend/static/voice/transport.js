// @ts-check
/**
 * One WebSocket connection of the native protocol: numbers the frames, measures the round trip, hands parsed messages
 * on. Decides nothing; a new connection is a new Link.
 */

import { FRAME_MS, KIND, packAudio, packMessage, parseAudio, parseServerMessage, pcm16ToFloat } from "./protocol.js";

/** @typedef {import("./types.js").ServerMessage} ServerMessage */
/** @typedef {import("./types.js").ClientMessage} ClientMessage */
/** @typedef {import("./types.js").Hello} Hello */

/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} message
 * @property {(samples: Float32Array<ArrayBuffer>, generation: number, timestampMs: number) => void} audio
 * @property {(code: number) => void} closed
 * @property {(medianMs: number) => void} roundTrip
 */

const PING_EVERY_MS = 1000;
/** Over a second of audio waits in the socket: the network is stuck, what is said now would arrive as history. */
const MAX_WAITING_BYTES = 32_000 + 13 * 50;
/** How long the server may take to store the last turn after `end`. */
const FINISH_MS = 5000;
const OPEN_MS = 10_000;

export class Link {
  /**
   * @param {string} url
   * @param {Hello} hello
   * @param {Listener} listener
   */
  constructor(url, hello, listener) {
    this.listener = listener;
    this.seq = 0;
    this.mediaMs = 0;
    this.dropped = 0;
    this.greeted = false;
    this.done = false;
    /** @type {number[]} */
    this.roundTrips = [];
    this.pings = 0;
    this.timer = 0;
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    const patience = setTimeout(() => this.close(), OPEN_MS);
    this.socket.onopen = () => this.socket.send(packMessage(hello));
    this.socket.onmessage = ({ data }) => {
      clearTimeout(patience);
      this.#receive(data);
    };
    this.socket.onclose = ({ code }) => {
      clearTimeout(patience);
      this.#over(code);
    };
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    try {
      if (typeof data !== "string") {
        const { payload, generation, timestampMs } = parseAudio(data);
        if (!this.done) this.listener.audio(pcm16ToFloat(payload), generation, timestampMs);
        return;
      }
      const message = parseServerMessage(data);
      if (message.type === "pong") this.#pong(message.t);
      if (message.type === "welcome") this.#welcomed();
      // After `end` only what the session leaves behind still matters.
      if (!this.done || message.type === "turn") this.listener.message(message);
    } catch (error) {
      console.warn("voice: ignored from the server:", error);
    }
  }

  #welcomed() {
    this.greeted = true;
    this.timer = window.setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#ping();
  }

  #ping() {
    const known = this.roundTrips.length > 0;
    this.pings += 1;
    this.send({ type: "ping", id: this.pings, t: performance.now(), ...(known && { rtt_ms: this.roundTripMs }) });
  }

  /** @param {number} sentAt */
  #pong(sentAt) {
    this.roundTrips = [...this.roundTrips.slice(-4), Math.max(0, performance.now() - sentAt)];
    this.listener.roundTrip(this.roundTripMs);
  }

  /** Median of the last five round trips, ms. */
  get roundTripMs() {
    const sorted = [...this.roundTrips].sort((a, b) => a - b);
    return Math.min(60_000, sorted[sorted.length >> 1] ?? 0);
  }

  /** @param {number} code */
  #over(code) {
    clearInterval(this.timer);
    if (!this.done) this.listener.closed(code);
    this.done = true;
  }

  /** @param {ClientMessage} message */
  send(message) {
    if (this.greeted && this.socket.readyState === WebSocket.OPEN) this.socket.send(packMessage(message));
  }

  /**
   * Send one frame of the microphone.
   * @param {ArrayBuffer} pcm 640 bytes of PCM16LE
   * @param {number} generation the last one the server told
   */
  sendAudio(pcm, generation) {
    if (!this.greeted || this.done || this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > MAX_WAITING_BYTES) {
      this.dropped += 1;
    } else {
      const frame = { kind: KIND.AUDIO_UP, seq: this.seq, timestampMs: this.mediaMs, generation, payload: new Uint8Array(pcm) };
      this.socket.send(packAudio(frame));
    }
    // A dropped frame leaves a gap in the numbers: the server counts it as lost, as it should.
    this.seq += 1;
    this.mediaMs += FRAME_MS;
  }

  /** Say `end` and let the server close, so that the last turn still arrives. */
  finish() {
    this.send({ type: "end" });
    const finishing = this.greeted;
    this.done = true;
    clearInterval(this.timer);
    if (finishing) setTimeout(() => this.socket.close(1000), FINISH_MS);
    else this.socket.close(1000);
  }

  /** Drop the connection; `closed` is told, once, as for any other loss. */
  close() {
    this.socket.close();
    this.#over(1006);
  }

  /** Drop the connection without a word to the listener. */
  abandon() {
    this.done = true;
    clearInterval(this.timer);
    this.socket.close();
  }
}
