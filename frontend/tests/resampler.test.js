// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../static/voice/resampler.js";

/** @param {number} rate @param {number} hertz @param {number} seconds */
function sine(rate, hertz, seconds) {
  return Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate));
}

/**
 * What is left after the best-fitting sine of that frequency is taken away, relative to it.
 * @param {Float32Array} signal @param {number} rate @param {number} hertz
 * @returns {{snr: number, amplitude: number, phase: number}} SNR in dB
 */
function fit(signal, rate, hertz) {
  let [ss, cc, sc, ys, yc] = [0, 0, 0, 0, 0];
  signal.forEach((y, i) => {
    const s = Math.sin((2 * Math.PI * hertz * i) / rate);
    const c = Math.cos((2 * Math.PI * hertz * i) / rate);
    [ss, cc, sc, ys, yc] = [ss + s * s, cc + c * c, sc + s * c, ys + y * s, yc + y * c];
  });
  const det = ss * cc - sc * sc;
  const a = (ys * cc - yc * sc) / det;
  const b = (yc * ss - ys * sc) / det;
  let [power, error] = [0, 0];
  signal.forEach((y, i) => {
    const model = a * Math.sin((2 * Math.PI * hertz * i) / rate) + b * Math.cos((2 * Math.PI * hertz * i) / rate);
    power += model * model;
    error += (y - model) ** 2;
  });
  return { snr: 10 * Math.log10(power / error), amplitude: Math.hypot(a, b), phase: Math.atan2(b, a) };
}

const SETTLED = 1600; // samples at 16 kHz after which edges are out of the filter

for (const rate of [8000, 22_050, 44_100, 48_000, 96_000, 47_999]) {
  for (const hertz of [220, 1000, 3300]) {
    test(`a sine of ${hertz} Hz, ${rate} -> 16000 Hz, keeps more than 60 dB`, () => {
      const output = new Resampler(rate, 16_000).process(sine(rate, hertz, 1));
      const { snr, amplitude } = fit(output.subarray(SETTLED, -SETTLED), 16_000, hertz);
      assert.ok(snr > 60, `SNR ${snr.toFixed(1)} dB`);
      assert.ok(Math.abs(amplitude - 0.5) < 0.005, `amplitude ${amplitude}`);
    });
  }
}

for (const rate of [44_100, 48_000, 24_000]) {
  test(`playback, 16000 -> ${rate} Hz, keeps more than 60 dB and lets no image through`, () => {
    const output = new Resampler(16_000, rate).process(sine(16_000, 5000, 1));
    const { snr } = fit(output.subarray(6000, -6000), rate, 5000);
    assert.ok(snr > 60, `SNR ${snr.toFixed(1)} dB`);
  });
}

for (const [rate, hertz] of [[44_100, 9500], [48_000, 12_000], [48_000, 20_000]]) {
  test(`${hertz} Hz at ${rate} Hz does not fold into speech`, () => {
    const output = new Resampler(rate, 16_000).process(sine(rate, hertz, 1)).subarray(SETTLED, -SETTLED);
    const rms = Math.sqrt(output.reduce((sum, x) => sum + x * x, 0) / output.length);
    const reduction = 20 * Math.log10(rms / (0.5 / Math.SQRT2));
    assert.ok(reduction < -70, `only ${reduction.toFixed(1)} dB down`);
  });
}

test("what comes out does not depend on how the input was cut", () => {
  for (const [from, to] of [[44_100, 16_000], [48_000, 16_000], [16_000, 44_100], [47_999, 16_000], [16_000, 16_000]]) {
    const input = Float32Array.from({ length: 30_000 }, (_, i) => Math.sin(i * i * 1e-5));
    const whole = new Resampler(from, to).process(input);
    const resampler = new Resampler(from, to);
    /** @type {number[]} */
    const pieces = [];
    for (let at = 0, size = 1; at < input.length; at += size, size = (size * 7 + 3) % 509) {
      pieces.push(...resampler.process(input.subarray(at, at + size)));
    }
    assert.deepEqual(pieces, [...whole], `${from} -> ${to}`);
  }
});

test("the first output sample is at the time of the first input sample, and none is lost over minutes", () => {
  const resampler = new Resampler(44_100, 16_000);
  const { phase } = fit(resampler.process(sine(44_100, 500, 1)).subarray(SETTLED, -SETTLED), 16_000, 500);
  const expected = (2 * Math.PI * 500 * SETTLED) / 16_000;
  assert.ok(Math.abs(Math.sin(phase - expected)) < 1e-3, `phase ${phase}`);
  let count = resampler.process(new Float32Array(0)).length;
  resampler.reset();
  const block = new Float32Array(128);
  const room = new Float32Array(resampler.maxOutput(128));
  const blocks = 41_344; // two minutes
  for (let i = 0; i < blocks; i++) count += resampler.process(block, room).length;
  const due = (blocks * 128 * 16_000) / 44_100;
  assert.ok(due - count >= 0 && due - count < resampler.delayMs * 16 + 2, `${count} of ${due}`);
});

test("reset forgets", () => {
  const resampler = new Resampler(48_000, 16_000);
  resampler.process(sine(48_000, 1000, 0.1));
  resampler.reset();
  assert.ok(resampler.process(new Float32Array(4800)).every((x) => x === 0));
});

test("a rate that is none is refused", () => {
  assert.throws(() => new Resampler(0, 16_000), RangeError);
  assert.throws(() => new Resampler(16_000, Number.NaN), RangeError);
});
