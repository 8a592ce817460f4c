// @ts-check
/** The live figures: collects what both sides measure and writes it into the page, at most four times a second. */

/** @typedef {import("./types.js").Stats} Stats */
/** @typedef {import("./session.js").Measured} Measured */

const EVERY_MS = 250;

/** @param {number} value */
const whole = (value) => String(Math.round(value));
/** One digit below ten: 2.4, 14. @param {number} value */
const short = (value) => (value < 9.95 ? value.toFixed(1) : whole(value));

export class Figures {
  /**
   * @param {HTMLElement} root holds elements with data-figure
   * @param {(parts: {roundTripMs: number, serverMs: number, bufferedMs: number}) => number} mouthToEarMs
   */
  constructor(root, mouthToEarMs) {
    this.root = root;
    this.mouthToEarMs = mouthToEarMs;
    /** @type {Map<string, HTMLElement>} */
    this.places = new Map();
    for (const place of root.querySelectorAll("[data-figure]")) {
      if (place instanceof HTMLElement) this.places.set(place.dataset.figure ?? "", place);
    }
    /** @type {Partial<Measured>} */
    this.measured = {};
    /** @type {Stats | null} */
    this.stats = null;
    this.timer = 0;
    /** Bytes of the microphone at the last report of them, and when. @type {{bytes: number, at: number} | null} */
    this.sent = null;
    /** @type {number | null} */
    this.sentKbps = null;
    this.write();
  }

  /** Nothing is running: every figure is a dash. */
  reset() {
    this.measured = {};
    this.stats = null;
    this.sent = this.sentKbps = null;
    this.#soon();
  }

  /** @param {Stats} stats */
  serverSaid(stats) {
    this.stats = stats;
    this.#soon();
  }

  /** @param {Partial<Measured>} measured */
  add(measured) {
    Object.assign(this.measured, measured);
    if (measured.sentBytes !== undefined) this.#sentBytes(measured.sentBytes, performance.now());
    this.#soon();
  }

  /** @param {number} bytes since the connection began @param {number} now */
  #sentBytes(bytes, now) {
    // A new connection counts anew.
    if (this.sent && bytes >= this.sent.bytes && now > this.sent.at) {
      this.sentKbps = (8 * (bytes - this.sent.bytes)) / (now - this.sent.at);
    }
    this.sent = { bytes, at: now };
  }

  #soon() {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      this.write();
    }, EVERY_MS);
  }

  write() {
    const { stats, measured } = this;
    const { roundTripMs, bufferedMs, underruns, droppedMs } = measured;
    const known = stats !== null && roundTripMs !== undefined && bufferedMs !== undefined;
    this.#put("bitrate", stats && (stats.bitrate_bps / 1000).toFixed(1));
    this.#put("round-trip", roundTripMs === undefined ? null : short(roundTripMs));
    this.#put("mouth-to-ear", known ? whole(this.mouthToEarMs({ roundTripMs, bufferedMs, serverMs: stats.server_ms })) : null);
    this.#put("sent", this.sentKbps === null ? null : short(this.sentKbps));
    this.#put("sent-as", this.sentKbps === null ? "" : measured.opus ? "Opus" : "PCM16");
    this.#put("encode", stats && short(stats.encode_ms));
    this.#put("decode", stats && short(stats.decode_ms));
    this.#put("server", stats && short(stats.server_ms));
    this.#put("buffered", bufferedMs === undefined ? null : whole(bufferedMs));
    this.#put("underruns", underruns === undefined ? null : String(underruns));
    // Frames of 20 ms, wherever they were given up: here before sending, at the server, in the jitter buffer.
    const lost = stats === null ? null : stats.dropped + stats.lost + Math.round((droppedMs ?? 0) / 20);
    this.#put("dropped", lost === null ? null : String(lost));
  }

  /** @param {string} name @param {string | null} value */
  #put(name, value) {
    const place = this.places.get(name);
    if (place) place.textContent = value ?? "–";
  }
}
