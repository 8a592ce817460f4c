// @ts-check
/** Levels as an eye reads them. Pure. */

const FLOOR_DB = -60;

/** Root mean square. @param {Float32Array} samples */
export function rms(samples) {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i] * samples[i];
  return Math.sqrt(sum / samples.length);
}

/** Amplitude to a share of the meter: 0 at -60 dBFS and below, 1 at full scale. @param {number} amplitude */
export function loudness(amplitude) {
  if (!(amplitude > 0)) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(amplitude)) / FLOOR_DB));
}

/** A needle with weight: rises at once, falls slowly, independent of the frame rate. */
export class Needle {
  /** @param {{riseMs?: number, fallMs?: number}} [times] time constants */
  constructor({ riseMs = 25, fallMs = 220 } = {}) {
    this.riseMs = riseMs;
    this.fallMs = fallMs;
    this.value = 0;
  }

  /** @param {number} target @param {number} elapsedMs @returns {number} */
  move(target, elapsedMs) {
    const constant = target > this.value ? this.riseMs : this.fallMs;
    this.value += (target - this.value) * (1 - Math.exp(-Math.max(0, elapsedMs) / constant));
    return this.value;
  }
}

/**
 * A closed outline of a waveform: `points` values whose ends meet, so that it can be drawn as a ring.
 * @param {Float32Array} samples
 * @param {Float32Array} out
 */
export function ring(samples, out) {
  const points = out.length;
  const stride = samples.length / points;
  for (let i = 0; i < points; i++) {
    // Mean of a stretch: a single sample of a fast wave would only twinkle.
    let sum = 0;
    const from = Math.floor(i * stride);
    const to = Math.max(from + 1, Math.floor((i + 1) * stride));
    for (let at = from; at < to; at++) sum += samples[at];
    // Fade towards the seam.
    const seam = Math.sin((Math.PI * i) / points) ** 0.5;
    out[i] = (sum / (to - from)) * seam;
  }
  return out;
}
