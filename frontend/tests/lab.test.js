// @ts-nocheck
import assert from "node:assert/strict";
import { test } from "node:test";

import { BINS, difference, outline, spectrogram } from "../static/lab/spectrum.js";
import { bytesOf, wavFile, wavSamples } from "../static/lab/wav.js";

const RATE = 16_000;
const tone = (hertz, amplitude, n = RATE) => Float32Array.from({ length: n }, (_, i) => amplitude * Math.sin((2 * Math.PI * hertz * i) / RATE));
const column = ({ db }, at) => db.subarray(at * BINS, (at + 1) * BINS);
const loudest = (values) => values.indexOf(Math.max(...values));

test("a tone stands at its frequency with its level", () => {
  for (const [hertz, amplitude] of [[1000, 1], [3125, 0.1], [7000, 0.01]]) {
    const spectrum = column(spectrogram(tone(hertz, amplitude), 9), 4);
    assert.equal(loudest(spectrum), hertz / (RATE / (2 * BINS)));
    assert.ok(Math.abs(Math.max(...spectrum) - 20 * Math.log10(amplitude)) < 0.1);
  }
});

test("columns are spread over the whole recording", () => {
  const samples = new Float32Array(RATE);
  samples.set(tone(2000, 0.5, RATE / 2), RATE / 2);
  const found = spectrogram(samples, 10);
  assert.ok(Math.max(...column(found, 3)) < -80, "silence before");
  assert.ok(Math.max(...column(found, 6)) > -7, "sound after");
  assert.equal(spectrogram(new Float32Array(0), 3).db.every((db) => db <= -99), true);
});

test("the difference is in decibels and silent where both are", () => {
  const [loud, soft] = [spectrogram(tone(1000, 0.5), 5), spectrogram(tone(1000, 0.05), 5)];
  const change = difference(loud, soft).subarray(2 * BINS, 3 * BINS);
  assert.ok(Math.abs(change[32] + 20) < 0.2);
  assert.equal(change[200], 0);
});

test("the outline holds every peak", () => {
  const samples = new Float32Array(1000);
  samples[10] = 0.5;
  samples[999] = -0.25;
  const edges = outline(samples, 7);
  assert.equal(edges.length, 7);
  assert.deepEqual(edges[0], [0, 0.5]);
  assert.deepEqual(edges[6], [-0.25, 0]);
});

test("a WAV file comes back sample by sample", async () => {
  const pcm = Int16Array.from([0, 1, -1, 32767, -32768, 12345]);
  const bytes = new Uint8Array(await wavFile(pcm).arrayBuffer());
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), "RIFF");
  assert.deepEqual([...wavSamples(bytes)].map((x) => Math.round(32_768 * x)), [...pcm]);
  const base64 = Buffer.from(bytes).toString("base64");
  assert.deepEqual(bytesOf(base64), bytes);
  assert.throws(() => wavSamples(bytes.slice(0, 30)), /no samples/);
});
