// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { JitterBuffer } from "../static/voice/jitter.js";

const FRAME = 320; // 20 ms at 16 kHz

/** @param {number} samples @param {number} [value] */
const tone = (samples, value = 0.5) => new Float32Array(samples).fill(value);

/** @param {JitterBuffer} buffer @param {number} ms */
function read(buffer, ms) {
  const output = new Float32Array(ms * 16);
  for (let at = 0; at < output.length; at += 40) buffer.read(output.subarray(at, at + 40));
  return output;
}

/** Feed `frames` frames of 20 ms from media time `fromMs` on. @param {JitterBuffer} buffer @param {number} fromMs
 * @param {number} frames @param {number} [value] */
function feed(buffer, fromMs, frames, value = 0.5) {
  for (let i = 0; i < frames; i++) buffer.push(tone(FRAME, value), buffer.generation, fromMs + 20 * i);
}

/** @param {Float32Array} signal */
const largestStep = (signal) => signal.reduce((most, x, i) => Math.max(most, i ? Math.abs(x - signal[i - 1]) : 0), 0);

const GENTLE = 0.5 / 80 + 0.02; // a 5 ms fade of a 0.5 signal, and some room

test("is silent until 90 ms are there, then plays them in order", () => {
  const buffer = new JitterBuffer();
  feed(buffer, 0, 4);
  assert.ok(read(buffer, 20).every((x) => x === 0));
  assert.equal(buffer.playedMs, 0);
  feed(buffer, 80, 1);
  const output = read(buffer, 50);
  assert.ok(output.subarray(100).every((x) => x === 0.5));
  assert.equal(buffer.playedMs, 50);
  assert.equal(buffer.bufferedMs, 50);
  assert.ok(largestStep(output) <= GENTLE, "fades in");
});

test("samples come out as they went in", () => {
  const buffer = new JitterBuffer({ startMs: 40, marginMs: 0 });
  const signal = Float32Array.from({ length: 16 * 3000 }, (_, i) => Math.sin(i * 0.01) * 0.3);
  /** @type {number[]} */
  const heard = [];
  for (let at = 0, ms = 0; at + FRAME <= signal.length; at += FRAME, ms += 20) {
    buffer.push(signal.subarray(at, at + FRAME), 0, ms);
    if (ms >= 40) heard.push(...read(buffer, 20));
  }
  assert.deepEqual(heard.slice(100), [...signal.subarray(100, heard.length)]);
  assert.equal(buffer.underruns, 0);
});

test("running dry fades out, counts once more audio follows, and asks for 5 ms more", () => {
  const buffer = new JitterBuffer();
  feed(buffer, 0, 5);
  const output = read(buffer, 120);
  assert.ok(largestStep(output) <= GENTLE, "no click at the end");
  assert.equal(buffer.underruns, 0, "speech may simply have ended");
  assert.equal(buffer.playedMs, 100);
  feed(buffer, 100, 4);
  assert.equal(buffer.underruns, 1);
  assert.equal(buffer.targetMs, 95);
  assert.ok(read(buffer, 10).every((x) => x === 0), "80 ms are not enough any more");
  feed(buffer, 180, 1);
  assert.ok(read(buffer, 20).some((x) => x > 0.4));
});

test("underruns add 80 ms at the most", () => {
  const buffer = new JitterBuffer();
  for (let round = 0; round < 30; round++) {
    feed(buffer, round * 200, 10);
    read(buffer, 400);
  }
  assert.equal(buffer.underruns, 29);
  assert.equal(buffer.targetMs, 170);
});

test("what is shorter than the target is still heard, after waiting as long", () => {
  const buffer = new JitterBuffer();
  feed(buffer, 0, 2);
  assert.ok(read(buffer, 90).every((x) => x === 0));
  assert.ok(read(buffer, 40).some((x) => x > 0.4));
  assert.equal(buffer.playedMs, 40);
});

test("too much: the oldest goes, down to the target, without a click, and counts as consumed", () => {
  const buffer = new JitterBuffer({ slackMs: 200 });
  feed(buffer, 0, 10, 0.5);
  const before = read(buffer, 20);
  for (let i = 0; i < 20; i++) buffer.push(tone(FRAME, -0.4), 0, 200 + 20 * i);
  assert.ok(buffer.bufferedMs <= buffer.targetMs + 200, `${buffer.bufferedMs} ms`);
  assert.ok(buffer.droppedMs > 0);
  assert.ok(Math.abs(buffer.playedMs + buffer.bufferedMs - 600) < 0.1, "position and rest make up all that was sent");
  const joined = new Float32Array([...before.subarray(200), ...read(buffer, 20)]);
  assert.ok(largestStep(joined) <= 0.9 / 80 + 0.02, `step ${largestStep(joined)}`);
});

test("a new generation silences what is buffered within 5 ms, and what is stale is never heard", () => {
  const buffer = new JitterBuffer();
  feed(buffer, 0, 10);
  const before = read(buffer, 50);
  buffer.clear(1);
  const after = read(buffer, 50);
  assert.ok(after.subarray(80).every((x) => x === 0));
  assert.ok(largestStep(new Float32Array([...before.subarray(200), ...after])) <= GENTLE, "short fade, no click");
  assert.equal(buffer.push(tone(FRAME), 0, 200), false);
  assert.equal(buffer.bufferedMs, 0);
  assert.equal(buffer.playedMs, 0, "media time begins anew");
  assert.equal(buffer.underruns, 0, "barge-in is no underrun");
});

test("audio of a newer generation clears by itself, and a clear for an older one is ignored", () => {
  const buffer = new JitterBuffer();
  feed(buffer, 0, 10);
  buffer.push(tone(FRAME), 3, 0);
  assert.equal(buffer.generation, 3);
  assert.equal(buffer.bufferedMs, 20);
  buffer.clear(2);
  assert.equal(buffer.bufferedMs, 20);
});

test("a new session may count its generations from zero again", () => {
  const buffer = new JitterBuffer();
  buffer.clear(70);
  buffer.restart(0);
  assert.equal(buffer.push(tone(FRAME), 0, 0), true);
  assert.equal(buffer.bufferedMs, 20);
});

test("position follows the stream's own clock over a gap", () => {
  const buffer = new JitterBuffer({ startMs: 20, marginMs: 0 });
  feed(buffer, 0, 2);
  feed(buffer, 100, 1); // 60 ms were lost on the way
  read(buffer, 60);
  assert.equal(buffer.playedMs, 120);
});

test("hours of a flood keep memory and numbers bounded", () => {
  const buffer = new JitterBuffer();
  const size = buffer.ring.length;
  for (let i = 0; i < 5000; i++) buffer.push(tone(3200), 0, i * 200);
  assert.equal(buffer.ring.length, size);
  assert.ok(buffer.count <= size);
  assert.ok(read(buffer, 400).every((x) => Number.isFinite(x) && Math.abs(x) <= 0.5));
});
