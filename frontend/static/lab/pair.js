// @ts-check
/**
 * Two recordings of one length that sound in step: both run all the time, and one of them is let through. Changing sides
 * is a fade of some milliseconds at the very same place.
 */

import { RATE } from "./wav.js";

/** @typedef {"original" | "codec"} Side */

const FADE_S = 0.006;

export class PairPlayer {
  /** @param {() => void} changed told when it starts, stops or comes to its end */
  constructor(changed) {
    this.changed = changed;
    /** @type {Side} */
    this.side = "codec";
    this.loop = false;
    this.seconds = 0;
    /** Where it stands while it does not play. */
    this.at = 0;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {Record<Side, AudioBuffer> | null} */
    this.buffers = null;
    /** @type {{sources: AudioBufferSourceNode[], gains: Record<Side, GainNode>, startedAt: number, from: number} | null} */
    this.running = null;
    /** @type {((node: AudioNode) => AudioNode) | null} what a test puts between player and loudspeaker */
    this.through = null;
  }

  get playing() {
    return this.running !== null;
  }

  /** Seconds from the beginning. */
  get position() {
    if (!this.running || !this.context) return this.at;
    const gone = this.running.from + Math.max(0, this.context.currentTime - this.running.startedAt);
    return this.loop && this.seconds > 0 ? gone % this.seconds : Math.min(gone, this.seconds);
  }

  /**
   * Other recordings of the same or another length; what sounds goes on where it is.
   * @param {Float32Array<ArrayBuffer>} original
   * @param {Float32Array<ArrayBuffer>} codec
   * @param {boolean} anew begin from the beginning
   */
  load(original, codec, anew) {
    const place = anew ? 0 : this.position;
    const played = this.playing && !anew;
    this.#silence();
    this.context ??= new AudioContext();
    const buffer = (/** @type {Float32Array<ArrayBuffer>} */ samples) => {
      const made = new AudioBuffer({ length: Math.max(1, samples.length), sampleRate: RATE });
      made.copyToChannel(samples, 0);
      return made;
    };
    this.buffers = { original: buffer(original), codec: buffer(codec) };
    this.seconds = original.length / RATE;
    this.at = Math.min(place, this.seconds);
    if (played) this.play();
    else this.changed();
  }

  /** From where it stands; from the beginning when that is the end. */
  play() {
    const { context, buffers } = this;
    if (!context || !buffers) return;
    void context.resume();
    this.#silence();
    const from = this.at >= this.seconds - 0.01 ? 0 : this.at;
    const startedAt = context.currentTime + 0.02;
    /** @type {Record<Side, GainNode>} */
    const gains = { original: new GainNode(context), codec: new GainNode(context) };
    const sources = /** @type {Side[]} */ (["original", "codec"]).map((side) => {
      const source = new AudioBufferSourceNode(context, { buffer: buffers[side], loop: this.loop });
      gains[side].gain.value = side === this.side ? 1 : 0;
      const out = source.connect(gains[side]);
      (this.through ? this.through(out) : out).connect(context.destination);
      source.start(startedAt, from);
      return source;
    });
    const running = { sources, gains, startedAt, from };
    this.running = running;
    sources[0].onended = () => {
      if (this.running !== running) return;
      this.at = this.seconds;
      this.#silence();
      this.changed();
    };
    this.changed();
  }

  pause() {
    this.at = this.position;
    this.#silence();
    this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** @param {number} seconds */
  seek(seconds) {
    const played = this.playing;
    this.#silence();
    this.at = Math.max(0, Math.min(seconds, this.seconds));
    if (played) this.play();
    else this.changed();
  }

  /** Which of the two is heard. @param {Side} side */
  choose(side) {
    this.side = side;
    if (this.running && this.context) {
      for (const [name, { gain }] of Object.entries(this.running.gains)) {
        gain.setTargetAtTime(name === side ? 1 : 0, this.context.currentTime, FADE_S / 3);
      }
    }
    this.changed();
  }

  /** @param {boolean} on */
  setLoop(on) {
    const place = this.position;
    this.loop = on;
    if (this.playing) this.seek(place);
  }

  #silence() {
    this.running?.sources.forEach((source) => {
      source.onended = null;
      source.stop();
    });
    this.running = null;
  }
}
