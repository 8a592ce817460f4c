// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Place, packetMs, speaksOpus } from "../static/voice/opus.js";
import { hello, untold } from "../static/voice/wishes.js";

const packet = (/** @type {number[]} */ ...bytes) => new Uint8Array(bytes);

test("a packet tells how long it is", () => {
  assert.equal(packetMs(packet(9 << 3, 1, 2)), 20); // SILK, wide band
  assert.equal(packetMs(packet(8 << 3, 1, 2)), 10);
  assert.equal(packetMs(packet(13 << 3)), 20); // hybrid
  assert.equal(packetMs(packet(28 << 3)), 2.5); // CELT
  assert.equal(packetMs(packet(31 << 3)), 20);
  assert.equal(packetMs(packet((9 << 3) | 1, 0)), 40, "two frames");
  assert.equal(packetMs(packet((8 << 3) | 3, 2)), 20, "two of 10 ms, counted");
  assert.equal(packetMs(packet((9 << 3) | 3)), 0, "cut short");
  assert.equal(packetMs(packet()), 0);
  assert.equal(packetMs(new Uint8Array(1276)), 0);
});

test("Opus is offered only where both directions say yes", async () => {
  const codec = (/** @type {unknown} */ answer) => ({ isConfigSupported: async () => answer });
  const yes = codec({ supported: true });
  assert.equal(await speaksOpus({ AudioEncoder: yes, AudioDecoder: yes }), true);
  assert.equal(await speaksOpus({ AudioEncoder: yes, AudioDecoder: codec({ supported: false }) }), false);
  assert.equal(await speaksOpus({ AudioEncoder: yes }), false);
  assert.equal(await speaksOpus({ AudioDecoder: yes }), false);
  const knowsNothing = { isConfigSupported: () => Promise.reject(new TypeError("opus")) };
  assert.equal(await speaksOpus({ AudioEncoder: knowsNothing, AudioDecoder: yes }), false);
  assert.equal(await speaksOpus(), false, "Node has none");
});

test("decoded sound ends where its packets end, whatever rate it comes in", () => {
  const place = new Place(1000, 48_000);
  let end = 1000;
  let heard = 0;
  for (let n = 1; n <= 50; n++) {
    const block = Float32Array.from({ length: 960 }, (_, i) => Math.sin((2 * Math.PI * 300 * ((n - 1) * 960 + i)) / 48_000));
    const { samples, timestampMs } = place.take(block);
    assert.ok(Math.abs(timestampMs + samples.length / 16 - (1000 + 20 * n)) < 1e-6);
    if (n > 2) assert.ok(Math.abs(timestampMs - end) < 1e-6, "no gap, no overlap");
    end = timestampMs + samples.length / 16;
    heard += samples.length;
    assert.notEqual(samples.buffer, place.resampler.history.buffer);
  }
  assert.ok(heard > 50 * 320 - 40 && heard <= 50 * 320);
  const same = new Place(0, 16_000).take(new Float32Array(320));
  assert.deepEqual([same.samples.length, same.timestampMs], [320, 0]);
});

test("what was chosen goes into hello, and what the server does not know yet into config", () => {
  /** @type {import("../static/voice/types.js").SessionConfig} */
  const wanted = { mode: "talk", turn_taking: "stream", speaker: "ravi", emotion: null, quantizers: 8, rate: 1.2, accent: null, mix: "" };
  const said = hello(wanted, { codecs: ["opus", "pcm16"], resume: null, client: "test" });
  assert.deepEqual(said.codecs, ["opus", "pcm16"]);
  assert.equal(said.rate, 1.2);
  assert.equal(said.emotion, null);
  assert.ok(!("accent" in said), "what is left to the voice is not sent");
  assert.deepEqual(untold(wanted, { ...wanted, mix: null }), {});
  assert.deepEqual(untold(wanted, { ...wanted, speaker: "priya", rate: 1, emotion: "happy" }), { speaker: "ravi", rate: 1.2 });
});
