// @ts-check
/** Short-time spectra of a recording, in decibels. Pure: no page, no sound. */

export const BINS = 256;
const SIZE = 2 * BINS;
const FLOOR_DB = -100;

/**
 * @typedef {object} Spectrogram
 * @property {number} columns
 * @property {Float32Array} db `columns x BINS`, column by column, low frequencies first; 0 dB is a full-scale sine
 */

const window_ = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
const cosines = Float32Array.from({ length: SIZE / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / SIZE));
const sines = Float32Array.from({ length: SIZE / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / SIZE));

/** In place, radix 2 (Cooley and Tukey 1965). @param {Float32Array} re @param {Float32Array} im */
export function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let half = 1; half < n; half *= 2) {
    const step = SIZE / (2 * half);
    for (let start = 0; start < n; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const [c, s] = [cosines[k * step], -sines[k * step]];
        const [a, b] = [start + k, start + k + half];
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

/**
 * Hann windows of 512 samples, spread evenly over the recording.
 * @param {Float32Array} samples in [-1, 1]
 * @param {number} columns
 * @returns {Spectrogram}
 */
export function spectrogram(samples, columns) {
  const db = new Float32Array(columns * BINS);
  const re = new Float32Array(SIZE);
  const im = new Float32Array(SIZE);
  for (let column = 0; column < columns; column++) {
    const start = Math.round(((column + 0.5) * samples.length) / columns) - BINS;
    for (let i = 0; i < SIZE; i++) re[i] = (samples[start + i] ?? 0) * window_[i];
    im.fill(0);
    fft(re, im);
    for (let bin = 0; bin < BINS; bin++) {
      // A Hann window passes half of the amplitude, and a sine has half of it in either sign of its frequency.
      const power = (re[bin] ** 2 + im[bin] ** 2) / (SIZE / 4) ** 2;
      db[column * BINS + bin] = Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
    }
  }
  return { columns, db };
}

/**
 * Decibels by which `b` is louder than `a`, as far as one can be heard: where both are quiet there is no difference.
 * @param {Spectrogram} a
 * @param {Spectrogram} b
 * @param {number} [quietDb] what counts as silence
 */
export function difference(a, b, quietDb = -75) {
  return a.db.map((value, i) => Math.max(b.db[i], quietDb) - Math.max(value, quietDb));
}

/**
 * Lowest and highest sample of each of `columns` equal stretches.
 * @param {Float32Array} samples
 * @param {number} columns
 * @returns {[number, number][]}
 */
export function outline(samples, columns) {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * samples.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * samples.length) / columns));
    let [low, high] = [0, 0];
    for (let i = from; i < to; i++) {
      low = Math.min(low, samples[i] ?? 0);
      high = Math.max(high, samples[i] ?? 0);
    }
    return [low, high];
  });
}
