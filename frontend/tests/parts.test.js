// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Needle, loudness, ring, rms } from "../static/voice/meters.js";
import { answerStages, stages } from "../static/voice/turns.js";
import { CATALOGUES, describe, fill } from "../static/voice/words.js";

test("both languages say the same things", () => {
  for (const [name, catalogue] of Object.entries(CATALOGUES)) {
    assert.deepEqual(Object.keys(catalogue.te).sort(), Object.keys(catalogue.en).sort(), name);
    const holes = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, words] of Object.entries(catalogue.te)) {
      const [te, en] = [words, /** @type {Record<string, any>} */ (catalogue.en)[key]].map((w) => [w].flat());
      te.forEach((text, i) => {
        assert.deepEqual(holes(text), holes(en[i]), `${name}.${key}`);
        assert.equal(text === "", en[i] === "", `${name}.${key} is empty in one language only`);
      });
    }
  }
});

test("every state and every problem of the state machine has words", () => {
  for (const phase of ["idle", "asking", "connecting", "listening", "speaking", "reconnecting", "busy"]) {
    for (const language of /** @type {const} */ (["te", "en"])) assert.notEqual(describe(language, phase, "")[0], "", phase);
  }
  assert.deepEqual(describe("en", "reconnecting", "network")[0], "Reconnecting", "why it reconnects is the second line");
  assert.match(describe("en", "reconnecting", "network")[1], /dropped/);
  assert.equal(describe("en", "refused", "microphone_denied")[0], "The microphone is blocked");
});

test("values go into their places, and a place without a value stays visible", () => {
  assert.equal(fill("{a} of {b}", { a: 3 }), "3 of {b}");
});

test("levels: full scale is 1, -30 dB half, silence and less than silence 0", () => {
  assert.equal(rms(new Float32Array(64)), 0);
  assert.equal(rms(new Float32Array(0)), 0);
  assert.ok(Math.abs(rms(Float32Array.of(0.5, -0.5)) - 0.5) < 1e-6);
  assert.equal(loudness(1), 1);
  assert.ok(Math.abs(loudness(10 ** (-30 / 20)) - 0.5) < 1e-9);
  for (const quiet of [0, -1, Number.NaN, 1e-5]) assert.equal(loudness(quiet), 0);
});

test("a needle rises faster than it falls, and does the same in one step as in many", () => {
  const needle = new Needle();
  const risen = needle.move(1, 50);
  const left = needle.move(0, 50);
  assert.ok(risen > 0.8 && left > 0.5 * risen, `${risen} ${left}`);
  const [once, often] = [new Needle(), new Needle()];
  once.move(1, 60);
  for (let i = 0; i < 6; i++) often.move(1, 10);
  assert.ok(Math.abs(once.value - often.value) < 1e-9);
});

test("a ring begins and ends at rest, so that it closes", () => {
  const out = ring(new Float32Array(2048).fill(0.5), new Float32Array(240));
  assert.equal(out[0], 0);
  assert.ok(out[239] < 0.1 && out[120] > 0.49);
});

test("a turn's delay by stage: the server's share is not counted twice, and nothing is negative", () => {
  const parts = stages({ network_ms: 2, queue_ms: 1, encode_ms: 4, decode_ms: 5, server_ms: 13, playback_ms: 80, endpoint_ms: 500 });
  assert.equal(parts.reduce((sum, { ms }) => sum + ms, 0), 95);
  assert.ok(!parts.some(({ stage }) => stage === "endpoint_ms"), "deciding that speech has ended delays nobody's voice");
  assert.deepEqual(stages({ encode_ms: 9, server_ms: 3 }), [{ stage: "encode_ms", ms: 9 }]);
  assert.deepEqual(stages({}), []);
});

test("the silence before an answer, by what made it, in order", () => {
  const parts = answerStages({ endpoint_ms: 300, first_token_ms: 12, server_ms: 4, web_ms: 2, playback_ms: 90, network_ms: 1 });
  assert.deepEqual(parts.map(({ stage }) => stage), ["endpoint_ms", "answer_ms", "server_rest_ms", "network_ms", "playback_ms"]);
  // What was computed while the end of the question was not certain cost nobody any time.
  assert.equal(parts.reduce((sum, { ms }) => sum + ms, 0), 397);
});
