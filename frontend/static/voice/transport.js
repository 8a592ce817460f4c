// @ts-check
/**
 * One WebSocket connection of the native protocol: numbers the frames, measures the round trip, hands parsed messages
 * on. Audio travels as Opus where both sides agreed on it and a conversation is on, else as PCM16. Decides nothing; a
 * new connection is a new Link.
 */

import { OpusEar, OpusMouth } from "./opus.js";
import { FRAME_MS, KIND, packAudio, packMessage, parseAudio, parseServerMessage, pcm16ToFloat } from "./protocol.js";

/** @typedef {import("./types.js").ServerMessage} ServerMessage */
/** @typedef {import("./types.js").ClientMessage} ClientMessage */
/** @typedef {import("./types.js").Hello} Hello */
/** @typedef {import("./types.js").SessionConfig} SessionConfig */

/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} message
 * @property {(samples: Float32Array<ArrayBuffer>, generation: number, timestampMs: number) => void} audio
 * @property {(mediaMs: number, capturedAt: number) => void} left a frame of the microphone, with its place and time
 * @property {(reason: unknown) => void} opusFailed the connection is of no more use with Opus
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
    this.offersOpus = hello.codecs.includes("opus");
    /** @type {OpusMouth | null} */
    this.mouth = null;
    /** @type {OpusEar | null} */
    this.ear = null;
    /** One's own voice stays PCM16: the ear is to judge our codec, not Opus before and after it. */
    this.coded = false;
    this.generation = 0;
    this.sentBytes = 0;
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
        if (!this.done) this.#hear(parseAudio(data));
        return;
      }
      const message = parseServerMessage(data);
      if (message.type === "pong") this.#pong(message.t);
      if (message.type === "welcome") this.#welcomed(message);
      if (message.type === "config") this.#tune(message.config);
      if (message.type === "generation") this.ear?.begin(message.generation);
      // After `end` only what the session leaves behind still matters.
      if (!this.done || message.type === "turn") this.listener.message(message);
    } catch (error) {
      console.warn("voice: ignored from the server:", error);
    }
  }

  /** @param {import("./protocol.js").AudioFrame} frame */
  #hear({ kind, payload, generation, timestampMs }) {
    if (kind === KIND.OPUS_DOWN) this.ear?.decode(payload, generation, timestampMs);
    else this.listener.audio(pcm16ToFloat(payload), generation, timestampMs);
  }

  /** @param {import("./types.js").Welcome} message */
  #welcomed({ codecs, config, generation }) {
    this.greeted = true;
    if (this.offersOpus && codecs?.includes("opus")) {
      this.mouth = new OpusMouth((packet, at) => this.#put(KIND.OPUS_UP, packet, at), this.listener.opusFailed);
      this.ear = new OpusEar(this.listener.audio, this.listener.opusFailed);
      this.ear.begin(generation);
    }
    this.#tune(config);
    this.timer = window.setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#ping();
  }

  /** @param {SessionConfig} config in force */
  #tune({ mode }) {
    this.coded = this.mouth !== null && mode === "talk";
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
    this.#still();
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
    if (!this.greeted || this.done) return;
    this.generation = generation;
    const now = performance.now();
    if (!this.coded) this.#put(KIND.AUDIO_UP, new Uint8Array(pcm), now);
    else if (!this.mouth?.encode(pcm, now)) this.#count(now, true);
  }

  /** @param {number} kind @param {Uint8Array} payload @param {number} capturedAt */
  #put(kind, payload, capturedAt) {
    if (this.done || this.socket.readyState !== WebSocket.OPEN) return;
    const stuck = this.socket.bufferedAmount > MAX_WAITING_BYTES;
    if (!stuck) {
      const { seq, mediaMs: timestampMs, generation } = this;
      const frame = packAudio({ kind, seq, timestampMs, generation, payload });
      this.socket.send(frame);
      this.sentBytes += frame.byteLength;
    }
    this.#count(capturedAt, stuck);
  }

  /** A dropped frame leaves a gap in the numbers: the server counts it as lost. @param {number} at @param {boolean} lost */
  #count(at, lost) {
    this.dropped += Number(lost);
    this.listener.left(this.mediaMs, at);
    this.seq += 1;
    this.mediaMs += FRAME_MS;
  }

  /** Nothing more is said or heard on this connection. */
  #still() {
    clearInterval(this.timer);
    this.mouth?.close();
    this.ear?.close();
    this.mouth = this.ear = null;
    this.coded = false;
  }

  /** Say `end` and let the server close, so that the last turn still arrives. */
  finish() {
    this.send({ type: "end" });
    const finishing = this.greeted;
    this.done = true;
    this.#still();
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
    this.#still();
    this.socket.close();
  }
}
