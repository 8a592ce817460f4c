import assert from "node:assert/strict";
import { test } from "node:test";

import { news } from "../static/voice/news.js";

const told = { mode: "talk", speaker: "priya", emotion: "neutral", quantizers: 8, mix: null };

test("at first all of it is news", () => {
  assert.deepEqual(news(told, null), told);
});

test("the echo of a voice says nothing about the emotion that was chosen meanwhile", () => {
  const first = { ...told, speaker: "lakshmi" };
  assert.deepEqual(news(first, told), { speaker: "lakshmi" });
  assert.deepEqual(news({ ...first, emotion: "happy" }, first), { emotion: "happy" });
});

test("what is taken back is news too", () => {
  assert.deepEqual(news(told, { ...told, mix: "ravi" }), { mix: null });
  assert.deepEqual(news(told, { ...told }), {});
});
