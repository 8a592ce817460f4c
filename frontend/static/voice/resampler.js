// @ts-check
/**
 * Streaming sample-rate conversion: band-limited interpolation by a Kaiser-windowed sinc, as a polyphase filter bank
 * (J. O. Smith, "Digital Audio Resampling Home Page"). Pure; used by both worklets.
 *
 * Output depends only on the samples fed, never on how they were cut into blocks: the position of every output sample
 * is kept as an exact fraction, so no error accumulates over hours either.
 */

const ZERO_CROSSINGS = 24; // each side, in periods of the lower rate: 1.5 ms of delay at 16 kHz
const KAISER_BETA = 9; // stop band below -90 dB
const ROLLOFF = 0.92; // -6 dB point as a part of the lower Nyquist frequency
const MAX_PHASES = 1024; // odd ratios interpolate between so many stored phases

/** Modified Bessel function I0 by its power series. @param {number} x */
function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

export class Resampler {
  /**
   * @param {number} fromRate samples per second that come in
   * @param {number} toRate samples per second that go out
   */
  constructor(fromRate, toRate) {
    if (!(fromRate > 0) || !(toRate > 0)) throw new RangeError(`rates must be positive: ${fromRate} -> ${toRate}`);
    const divisor = gcd(Math.round(fromRate), Math.round(toRate));
    /** An output sample comes every `step / up` input samples. */
    this.up = Math.round(toRate) / divisor;
    this.step = Math.round(fromRate) / divisor;
    this.copies = this.up === this.step;
    this.fromRate = fromRate;
    const scale = Math.min(1, toRate / fromRate);
    this.half = Math.ceil(ZERO_CROSSINGS / scale);
    this.taps = 2 * this.half;
    this.phases = Math.min(this.up, MAX_PHASES);
    this.bank = this.copies ? new Float32Array(0) : this.#design(scale * ROLLOFF);
    this.history = new Float32Array(this.taps + 8192);
    this.filled = 0;
    this.position = 0; // first tap of the next output, in `history`
    this.fraction = 0; // 0 .. up-1
    this.reset();
  }

  /** Milliseconds by which the output lags. */
  get delayMs() {
    return this.copies ? 0 : (1000 * this.half) / this.fromRate;
  }

  /** Forget all that was fed: the next sample begins a new signal. */
  reset() {
    this.history.fill(0);
    // The filter looks half a window back before the first sample: there is silence.
    this.filled = this.copies ? 0 : this.half - 1;
    this.position = 0;
    this.fraction = 0;
  }

  /** One row of coefficients per phase, one more row for interpolation. @param {number} cutoff of the input's Nyquist */
  #design(cutoff) {
    const bank = new Float32Array((this.phases + 1) * this.taps);
    const norm = bessel0(KAISER_BETA);
    for (let phase = 0; phase <= this.phases; phase++) {
      let sum = 0;
      const row = phase * this.taps;
      for (let tap = 0; tap < this.taps; tap++) {
        const t = tap - (this.half - 1) - phase / this.phases;
        const edge = t / this.half;
        const window = Math.abs(edge) >= 1 ? 0 : bessel0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / norm;
        const x = Math.PI * cutoff * t;
        const value = window * cutoff * (x === 0 ? 1 : Math.sin(x) / x);
        bank[row + tap] = value;
        sum += value;
      }
      // Every phase passes a constant unchanged; otherwise the phases would modulate the signal.
      for (let tap = 0; tap < this.taps; tap++) bank[row + tap] /= sum;
    }
    return bank;
  }

  /** The most samples that `process` can yield for `count` samples in. @param {number} count */
  maxOutput(count) {
    return Math.ceil(((count + this.taps) * this.up) / this.step) + 1;
  }

  /**
   * Feed a block, get what is ready.
   * @param {Float32Array} input
   * @param {Float32Array} [output] room for `maxOutput(input.length)`; made when absent
   * @returns {Float32Array} the samples that are ready: a view into `output`
   */
  process(input, output = new Float32Array(this.maxOutput(input.length))) {
    if (this.copies) {
      output.set(input);
      return output.subarray(0, input.length);
    }
    this.#append(input);
    const { history, bank, taps, up, step, phases } = this;
    let produced = 0;
    while (this.position + taps <= this.filled) {
      const exact = (this.fraction * phases) / up;
      const phase = Math.floor(exact);
      const between = exact - phase;
      const row = phase * taps;
      let sum = 0;
      for (let tap = 0, at = this.position; tap < taps; tap++, at++) sum += history[at] * bank[row + tap];
      if (between > 0) {
        let next = 0;
        for (let tap = 0, at = this.position; tap < taps; tap++, at++) next += history[at] * bank[row + taps + tap];
        sum += between * (next - sum);
      }
      output[produced++] = sum;
      this.fraction += step;
      this.position += Math.floor(this.fraction / up);
      this.fraction %= up;
    }
    return output.subarray(0, produced);
  }

  /** @param {Float32Array} input */
  #append(input) {
    if (this.filled + input.length > this.history.length) {
      const keep = Math.min(this.position, this.filled);
      this.history.copyWithin(0, keep, this.filled);
      this.filled -= keep;
      this.position -= keep;
      if (this.filled + input.length > this.history.length) {
        const larger = new Float32Array(2 * (this.filled + input.length));
        larger.set(this.history.subarray(0, this.filled));
        this.history = larger;
      }
    }
    this.history.set(input, this.filled);
    this.filled += input.length;
  }
}
