// @ts-check
/**
 * The adaptive jitter buffer, as pure sample arithmetic: packets in, a steady stream out. It knows no clock; time is
 * the number of samples that were read.
 *
 * It starts when 80 + 10 ms are there. A dry spell costs 5 ms more margin (up to 80 more) and a new start; when too
 * much piles up the oldest is dropped down to the target. Every edge is a 5 ms fade, so nothing clicks. What carries
 * an older generation than the newest one known is stale and never heard.
 */

/**
 * @typedef {object} JitterOptions
 * @property {number} [sampleRate] of what comes in and goes out
 * @property {number} [startMs] buffered before the first sound
 * @property {number} [marginMs] on top of it, and grown by underruns
 * @property {number} [growMs] margin added by an underrun
 * @property {number} [growLimitMs] the most that underruns add
 * @property {number} [slackMs] above the target, before the oldest is dropped
 * @property {number} [fadeMs] length of every fade
 */

const CAPACITY_SECONDS = 4;

export class JitterBuffer {
  /** @param {JitterOptions} [options] */
  constructor({
    sampleRate = 16_000,
    startMs = 80,
    marginMs = 10,
    growMs = 5,
    growLimitMs = 80,
    slackMs = 200,
    fadeMs = 5,
  } = {}) {
    this.perMs = sampleRate / 1000;
    this.options = { startMs, marginMs, growMs, growLimitMs };
    this.slackMs = slackMs;
    this.fade = Math.max(1, Math.round(fadeMs * this.perMs));
    this.ring = new Float32Array(CAPACITY_SECONDS * sampleRate);
    this.generation = 0;
    this.underruns = 0;
    this.droppedSamples = 0;
    this.grownMs = 0;
    this.gain = 0;
    /** Samples of a cleared generation that still fade out. */
    this.tail = new Float32Array(0);
    this.first = 0; // index of the oldest sample in the ring
    this.count = 0;
    this.end = 0; // media position behind the newest sample, in samples since the generation began
    this.playing = false;
    this.ranDry = false;
    this.waited = 0; // samples of silence given out since the last push
  }

  #empty() {
    this.first = 0;
    this.count = 0;
    this.end = 0;
    this.playing = false;
    this.ranDry = false;
    this.waited = 0;
  }

  /** How much has to be buffered before sound starts, in milliseconds. */
  get targetMs() {
    return this.options.startMs + this.options.marginMs + this.grownMs;
  }

  get bufferedMs() {
    return this.count / this.perMs;
  }

  /** Media position within the generation: what was played, or given up by an overflow. */
  get playedMs() {
    return (this.end - this.count) / this.perMs;
  }

  get droppedMs() {
    return this.droppedSamples / this.perMs;
  }

  /**
   * A packet arrived.
   * @param {Float32Array} samples
   * @param {number} generation
   * @param {number} timestampMs media time of its first sample since the generation began
   * @returns {boolean} false when it was stale
   */
  push(samples, generation, timestampMs) {
    if (generation < this.generation) return false;
    if (generation > this.generation) this.clear(generation);
    if (this.ranDry) {
      // Only now is it known that the speech had not simply ended.
      this.ranDry = false;
      this.underruns += 1;
      this.grownMs = Math.min(this.options.growLimitMs, this.grownMs + this.options.growMs);
    }
    this.waited = 0;
    const room = this.ring.length - this.count;
    if (samples.length > room) this.#dropOldest(samples.length - room);
    let at = (this.first + this.count) % this.ring.length;
    for (let i = 0; i < samples.length; i++) {
      this.ring[at] = samples[i];
      at = at + 1 === this.ring.length ? 0 : at + 1;
    }
    this.count += samples.length;
    this.end = Math.round(timestampMs * this.perMs) + samples.length;
    const limit = (this.targetMs + this.slackMs) * this.perMs;
    if (this.count > limit) this.#dropOldest(this.count - Math.round(this.targetMs * this.perMs));
    return true;
  }

  /**
   * Drop the oldest samples; while sound is on, what would have come next fades out over what comes instead.
   * @param {number} samples
   */
  #dropOldest(samples) {
    const amount = Math.min(samples, this.count);
    this.droppedSamples += amount;
    const overlap = Math.min(this.fade, amount, this.count - amount);
    if (this.playing) {
      for (let i = 0; i < overlap; i++) {
        const from = (this.first + i) % this.ring.length;
        const to = (this.first + amount + i) % this.ring.length;
        const mix = (i + 1) / (overlap + 1);
        this.ring[to] = this.ring[from] * (1 - mix) + this.ring[to] * mix;
      }
    }
    this.first = (this.first + amount) % this.ring.length;
    this.count -= amount;
  }

  /**
   * Barge-in or a new response: all that is buffered is stale, silence within 5 ms.
   * @param {number} generation
   */
  clear(generation) {
    if (generation < this.generation) return;
    const length = this.playing ? Math.min(this.fade, this.count) : 0;
    this.tail = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      this.tail[i] = this.ring[(this.first + i) % this.ring.length] * this.gain * (1 - (i + 1) / length);
    }
    this.generation = generation;
    this.gain = 0;
    this.#empty();
  }

  /** A new connection counts its generations anew. @param {number} generation */
  restart(generation) {
    this.generation = 0;
    this.clear(generation);
  }

  /**
   * Fill `output` with what is due: speech, or silence.
   * @param {Float32Array} output
   */
  read(output) {
    const start = this.targetMs * this.perMs;
    // A response may be shorter than the target: what has waited that long is let go.
    if (!this.playing && this.count > 0 && (this.count >= start || this.waited >= start)) this.playing = true;
    const slope = 1 / this.fade;
    for (let i = 0; i < output.length; i++) {
      let sample = 0;
      if (this.playing && this.count > 0) {
        // Fades out over the last 5 ms, in case nothing follows; comes back when something does.
        const goal = this.count > this.fade ? 1 : Math.min(1, (this.count - 1) * slope);
        this.gain = this.gain > goal ? Math.max(goal, this.gain - slope) : Math.min(goal, this.gain + slope);
        sample = this.ring[this.first] * this.gain;
        this.first = this.first + 1 === this.ring.length ? 0 : this.first + 1;
        this.count -= 1;
      } else {
        this.waited += 1;
        if (this.playing) {
          this.playing = false;
          this.ranDry = true;
          this.gain = 0;
        }
      }
      if (i < this.tail.length) sample += this.tail[i];
      output[i] = sample;
    }
    if (this.tail.length > 0) this.tail = this.tail.slice(output.length);
  }
}
