// @ts-nocheck
import assert from "node:assert/strict";
import { test } from "node:test";

import { reduce, INITIAL } from "../static/voice/connection.js";
import { Silence } from "../static/voice/silence.js";

const spoken = (silence, frames, startedAt = 1000) => {
  for (let i = 0; i < frames; i++) silence.frame(20 * i, startedAt + 20 * (i + 1));
};

test("from the last word to the first sound, output included", () => {
  const silence = new Silence();
  spoken(silence, 100);
  silence.ended(1500);
  silence.answered({ first_token_ms: 12.5 });
  silence.began(2900, 40);
  assert.equal(silence.before({ first_token_ms: 12.5 }), 2900 + 40 - (1000 + 1500));
  assert.equal(silence.before({ first_token_ms: 12.6 }), null);
});

test("an interrupted answer that is stored late keeps its own", () => {
  const silence = new Silence();
  spoken(silence, 200);
  silence.ended(1000);
  silence.answered({ first_token_ms: 1 });
  silence.began(2400, 0);
  silence.ended(3000);
  silence.answered({ first_token_ms: 2 });
  silence.began(4500, 0);
  silence.began(4600, 0); // a dry spell is no beginning
  assert.equal(silence.before({ first_token_ms: 1 }), 400);
  assert.equal(silence.before({ first_token_ms: 2 }), 500);
});

test("what cannot be known is not claimed", () => {
  const silence = new Silence();
  silence.answered({ first_token_ms: 1 });
  silence.began(100, 0);
  assert.equal(silence.before({ first_token_ms: 1 }), null);
  silence.ended(5000);
  silence.began(200, 0);
  assert.equal(silence.before({}), null);
});

test("thinking lies between the last word and the answer", () => {
  const live = { ...INITIAL, phase: "speaking" };
  const [thinking] = reduce(live, { type: "endpoint" });
  assert.equal(thinking.phase, "thinking");
  assert.equal(reduce(thinking, { type: "speech", speaking: false })[0].phase, "thinking");
  assert.equal(reduce(thinking, { type: "speech", speaking: true })[0].phase, "speaking");
  const [answering] = reduce(thinking, { type: "answer", sounding: true });
  assert.equal(answering.phase, "answering");
  assert.equal(reduce(answering, { type: "endpoint" })[0].phase, "answering");
  assert.equal(reduce({ ...INITIAL, phase: "ended" }, { type: "endpoint" })[0].phase, "ended");
});
