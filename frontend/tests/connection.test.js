// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { INITIAL, active, backoff, live, reduce } from "../static/voice/connection.js";
import { CLOSE } from "../static/voice/protocol.js";

/** @typedef {import("../static/voice/connection.js").State} State */
/** @typedef {import("../static/voice/connection.js").Event} Event */
/** @typedef {import("../static/voice/connection.js").Effect} Effect */

/** @param {Partial<import("../static/voice/types.js").Welcome>} [more] @returns {Event} */
function welcome(more = {}) {
  return {
    type: "welcome",
    message: {
      type: "welcome",
      protocol: 1,
      session: "s",
      resume_token: "token-1",
      resumed: false,
      generation: 0,
      config: { mode: "reconstruct", turn_taking: "stream", speaker: null, emotion: null, quantizers: 8 },
      limits: { frame_samples: 320, sample_rate: 16_000, max_ahead_ms: 400, resume_seconds: 60 },
      models: {},
      ...more,
    },
  };
}

/** @param {Event[]} events @param {State} [from] @returns {{state: State, effects: Effect[]}} effects of the last one */
function run(events, from = INITIAL) {
  let state = from;
  /** @type {Effect[]} */
  let effects = [];
  for (const event of events) [state, effects] = reduce(state, event);
  return { state, effects };
}

/** @type {Event[]} */
const UP = [{ type: "start" }, { type: "microphone_ready", now: 0 }, welcome()];
const kinds = (/** @type {Effect[]} */ effects) => effects.map((e) => e.type);

test("the way in: microphone first, then the socket, then listening", () => {
  assert.deepEqual(run([{ type: "start" }]).effects, [{ type: "ask_microphone" }]);
  assert.deepEqual(run(UP.slice(0, 2)).effects, [{ type: "open", resume: null }]);
  const { state, effects } = run(UP);
  assert.equal(state.phase, "listening");
  assert.deepEqual(effects, [{ type: "restart", generation: 0 }]);
});

test("speech is shown and changes nothing else", () => {
  const { state } = run([...UP, { type: "speech", speaking: true }]);
  assert.equal(state.phase, "speaking");
  assert.equal(run([{ type: "speech", speaking: false }], state).state.phase, "listening");
  assert.equal(run([{ type: "speech", speaking: true }]).state.phase, "idle");
});

for (const problem of ["microphone_denied", "microphone_missing", "insecure"]) {
  test(`no microphone (${problem}): refused, nothing opened, a new start possible`, () => {
    const { state, effects } = run([{ type: "start" }, { type: "microphone_failed", problem }]);
    assert.deepEqual([state.phase, state.problem], ["refused", problem]);
    assert.ok(!kinds(effects).includes("open"));
    assert.equal(run([{ type: "start" }], state).state.phase, "asking");
  });
}

test("a microphone that is pulled out ends the session on the server too", () => {
  const { state, effects } = run([...UP, { type: "microphone_failed", problem: "microphone_lost" }]);
  assert.equal(state.phase, "refused");
  assert.deepEqual(kinds(effects), ["end", "release"]);
});

test("a dropped socket comes back with its token after a growing wait", () => {
  let { state, effects } = run([...UP, { type: "closed", code: 1006, now: 1000 }]);
  assert.deepEqual([state.phase, state.retryAt], ["reconnecting", 1500]);
  assert.deepEqual(effects, [{ type: "silence" }, { type: "wait", ms: 500 }]);
  ({ state, effects } = run([{ type: "due", now: 1500 }], state));
  assert.deepEqual(effects, [{ type: "open", resume: "token-1" }]);
  ({ state, effects } = run([{ type: "closed", code: 1006, now: 1600 }], state));
  assert.deepEqual(effects.at(-1), { type: "wait", ms: 1000 });
  const resumed = welcome({ resumed: true, resume_token: "token-2", generation: 64 });
  ({ state, effects } = run([{ type: "due", now: 2600 }, resumed], state));
  assert.deepEqual([state.phase, state.token, state.attempt, state.lostAt], ["listening", "token-2", 0, 0]);
  assert.equal(state.resumed, true);
  assert.deepEqual(effects, [{ type: "restart", generation: 64 }]);
});

test("the wait doubles up to eight seconds", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map(backoff), [500, 1000, 2000, 4000, 8000, 8000]);
});

test("nobody has to wait who presses the button, and a timer that fires late opens no second socket", () => {
  const lost = run([...UP, { type: "closed", code: 1006, now: 0 }]).state;
  const { state, effects } = run([{ type: "retry", now: 10 }], lost);
  assert.deepEqual(kinds(effects), ["open"]);
  assert.deepEqual(run([{ type: "due", now: 500 }], state).effects, []);
});

test("an expired token is forgotten and a new session begun at once", () => {
  const events = /** @type {Event[]} */ ([...UP, { type: "closed", code: 1006, now: 0 }, { type: "due", now: 500 }]);
  const { state, effects } = run([...events, { type: "closed", code: CLOSE.resume_expired, now: 600 }]);
  assert.equal(state.token, null);
  assert.deepEqual(effects.at(-1), { type: "wait", ms: 0 });
  assert.deepEqual(run([{ type: "due", now: 600 }], state).effects, [{ type: "open", resume: null }]);
});

test("after the server's resume time the token is not tried any more", () => {
  const lost = run([...UP, { type: "closed", code: 1006, now: 0 }]).state;
  assert.deepEqual(run([{ type: "due", now: 61_000 }], lost).effects, [{ type: "open", resume: null }]);
});

test("two minutes without a server: the microphone is given back", () => {
  let state = run([...UP, { type: "closed", code: 1006, now: 1000 }]).state;
  state = run([{ type: "due", now: 9000 }], state).state;
  const { state: over, effects } = run([{ type: "closed", code: 1006, now: 122_000 }], state);
  assert.deepEqual([over.phase, over.problem], ["ended", "lost"]);
  assert.deepEqual(effects, [{ type: "release" }]);
});

for (const [code, problem] of /** @type {[number, string][]} */ ([
  [CLOSE.inference_lost, "inference_lost"],
  [CLOSE.going_away, "going_away"],
  [CLOSE.too_slow, "too_slow"],
  [1011, "network"],
])) {
  test(`close ${code} reconnects with the token and says why`, () => {
    const { state } = run([...UP, { type: "closed", code, now: 0 }]);
    assert.deepEqual([state.phase, state.problem, state.token], ["reconnecting", problem, "token-1"]);
  });
}

test("full: counts down, keeps the token, tries again by itself", () => {
  let { state, effects } = run([...UP.slice(0, 2), { type: "busy", retryAfterMs: 5000, now: 100 }]);
  assert.deepEqual([state.phase, state.retryAt], ["busy", 5100]);
  assert.deepEqual(kinds(effects), ["close", "silence", "wait"]);
  ({ state, effects } = run([{ type: "closed", code: CLOSE.busy, now: 110 }], state));
  assert.equal(state.phase, "busy", "the close that follows changes nothing");
  assert.deepEqual(effects, []);
  ({ state, effects } = run([{ type: "due", now: 5100 }], state));
  assert.deepEqual([state.phase, kinds(effects)], ["connecting", ["open"]]);
  assert.equal(run([welcome()], state).state.phase, "listening");
});

for (const [code, phase, problem] of /** @type {[number, string, string][]} */ ([
  [CLOSE.login_required, "refused", "login_required"],
  [CLOSE.bad_message, "refused", "fault"],
  [CLOSE.hello_first, "refused", "fault"],
  [CLOSE.ended_by_operator, "ended", "ended_by_operator"],
  [CLOSE.normal, "ended", "finished"],
])) {
  test(`close ${code} is final: ${phase}, ${problem}, and the microphone is released`, () => {
    const { state, effects } = run([...UP, { type: "closed", code, now: 0 }]);
    assert.deepEqual([state.phase, state.problem], [phase, problem]);
    assert.deepEqual(kinds(effects), ["release"]);
    assert.equal(state.token, null);
  });
}

test("stop ends in every phase, and a late close does not revive it", () => {
  const lost = run([...UP, { type: "closed", code: 1006, now: 0 }]).state;
  for (const from of [run(UP).state, lost, run([{ type: "start" }]).state]) {
    const { state, effects } = run([{ type: "stop" }], from);
    assert.deepEqual([state.phase, state.problem], ["ended", "stopped"]);
    assert.deepEqual(kinds(effects), ["end", "release"]);
    assert.deepEqual(reduce(state, { type: "closed", code: 1006, now: 0 }), [state, []]);
    assert.deepEqual(reduce(state, { type: "microphone_ready", now: 0 }), [state, []]);
    assert.equal(active(state.phase), false);
  }
});

test("barge-in: a higher generation clears playback, an old one does not", () => {
  const { state, effects } = run([...UP, { type: "generation", generation: 2 }]);
  assert.deepEqual(effects, [{ type: "clear", generation: 2 }]);
  assert.deepEqual(run([{ type: "generation", generation: 1 }], state).effects, []);
});

test("starting twice asks once", () => {
  assert.deepEqual(run([{ type: "start" }, { type: "start" }]).effects, []);
});

test("an answer: speech over it is no turn until it stops for it", () => {
  const sounding = run([...UP, { type: "speech", speaking: true }, { type: "answer", sounding: true }]).state;
  assert.equal(sounding.phase, "answering");
  assert.equal(live(sounding.phase), true);
  const over = run([{ type: "speech", speaking: true }], sounding).state;
  assert.equal(over.phase, "answering");
  const stopped = run([{ type: "answer", sounding: false }, { type: "speech", speaking: true }], over).state;
  assert.equal(stopped.phase, "speaking");
  assert.equal(run([{ type: "answer", sounding: true }]).state.phase, "idle");
});
