// @ts-check
/** Asks the server for reconstructions, and remembers them: each recording goes up once for every setting. */

import { bytesOf, wavSamples } from "./wav.js";

/**
 * @typedef {object} Answer what /api/v1/lab says
 * @property {string} preset
 * @property {number} quantizers
 * @property {number} seconds
 * @property {boolean} cut
 * @property {number} kbps
 * @property {number} snr_db
 * @property {number} real_time_factor
 * @property {number} delay_ms
 * @property {number} hop
 * @property {{version?: string}} model
 * @property {number[][]} codes
 * @property {string} original
 * @property {string} reconstruction
 */

/**
 * @typedef {object} Result
 * @property {Answer} figures
 * @property {Float32Array<ArrayBuffer>} original
 * @property {Float32Array<ArrayBuffer>} reconstruction
 * @property {Blob} originalFile
 * @property {Blob} reconstructionFile
 */

/** A refusal in the server's words; `retryS` is set when it is worth another try. */
export class LabError extends Error {
  /** @param {string} message @param {number} [retryS] */
  constructor(message, retryS = 0) {
    super(message);
    this.retryS = retryS;
  }
}

const KEPT = 24;

export class LabClient {
  /** @param {string} url @param {string} csrf */
  constructor(url, csrf) {
    this.url = url;
    this.csrf = csrf;
    /** @type {Map<string, Result>} */
    this.known = new Map();
  }

  /**
   * @param {string} name of the recording; a new one has a new name
   * @param {Blob} file
   * @param {{preset: string, quantizers: number}} setting
   * @param {AbortSignal} signal
   * @returns {Promise<Result>}
   * @throws {LabError}
   */
  async ask(name, file, { preset, quantizers }, signal) {
    const key = `${name} ${preset} ${quantizers}`;
    const known = this.known.get(key);
    if (known) return known;
    const form = new FormData();
    form.set("file", file, "recording");
    form.set("preset", preset);
    form.set("quantizers", String(quantizers));
    /** @type {Response} */
    let response;
    try {
      response = await fetch(this.url, { method: "POST", body: form, headers: { "X-CSRFToken": this.csrf }, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new LabError("");
    }
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      const words = [problem.detail, problem.hint].filter(Boolean).join(" – ");
      throw new LabError(words, Number(response.headers.get("Retry-After")) || 0);
    }
    const result = unpacked(/** @type {Answer} */ (await response.json()));
    this.known.set(key, result);
    for (const old of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      this.known.delete(old);
    }
    return result;
  }
}

/** @param {Answer} figures @returns {Result} */
function unpacked(figures) {
  const [original, reconstruction] = [bytesOf(figures.original), bytesOf(figures.reconstruction)];
  return {
    figures: { ...figures, original: "", reconstruction: "" },
    original: wavSamples(original),
    reconstruction: wavSamples(reconstruction),
    originalFile: new Blob([original], { type: "audio/wav" }),
    reconstructionFile: new Blob([reconstruction], { type: "audio/wav" }),
  };
}
