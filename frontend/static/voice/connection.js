// @ts-check
/**
 * The connection's state machine, as a pure function: (state, event) -> [state, effects]. Time, sockets and the
 * microphone are outside (transport.js, session.js); here is only what follows from what.
 *
 * idle -> asking -> connecting -> listening <-> speaking / thinking / answering -> ended
 *                        ^           |
 *                   reconnecting <---+      busy (counts down, then connecting)      refused (needs a person)
 */

import { CLOSE } from "./protocol.js";

/** @typedef {import("./types.js").Welcome} Welcome */
/** @typedef {import("./types.js").SessionConfig} SessionConfig */
/** @typedef {"idle" | "asking" | "connecting" | "listening" | "speaking" | "thinking" | "answering" | "reconnecting" | "busy"
 *   | "refused" | "ended"} Phase */

/**
 * @typedef {object} State
 * @property {Phase} phase
 * @property {string} problem why `refused`, `ended` or `reconnecting`: a key of words.js, or ""
 * @property {string | null} token resume token, while the session can still be resumed
 * @property {string | null} session
 * @property {number} generation
 * @property {SessionConfig | null} config in force, as the server says
 * @property {number} attempt reconnection attempts since the last success
 * @property {number} lostAt when the connection was lost, ms; 0 while it stands
 * @property {number} retryAt when the next attempt is due, ms; 0 when none is
 * @property {number} resumeMs how long the server keeps a session
 * @property {boolean} resumed the present connection continued an earlier one
 */

/**
 * @typedef {{type: "start"} | {type: "microphone_ready", now: number} | {type: "microphone_failed", problem: string}
 *   | {type: "welcome", message: Welcome} | {type: "speech", speaking: boolean} | {type: "answer", sounding: boolean} | {type: "endpoint"}
 *   | {type: "generation", generation: number} | {type: "config", config: SessionConfig}
 *   | {type: "busy", retryAfterMs: number, now: number} | {type: "closed", code: number, now: number}
 *   | {type: "due", now: number} | {type: "retry", now: number} | {type: "stop"}} Event
 */

/**
 * @typedef {{type: "ask_microphone"} | {type: "open", resume: string | null} | {type: "end"} | {type: "close"}
 *   | {type: "wait", ms: number} | {type: "clear", generation: number} | {type: "restart", generation: number}
 *   | {type: "silence"} | {type: "release"}} Effect
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
/** After so long without a server the microphone is given back: nobody should be listened to for nothing. */
const GIVE_UP_MS = 120_000;
const BUSY_FLOOR_MS = 1000;

/** @type {State} */
export const INITIAL = Object.freeze({
  phase: "idle",
  problem: "",
  token: null,
  session: null,
  generation: 0,
  config: null,
  attempt: 0,
  lostAt: 0,
  retryAt: 0,
  resumeMs: 60_000,
  resumed: false,
});

/** Is a session running, or on its way? @param {Phase} phase */
export function active(phase) {
  return !["idle", "refused", "ended"].includes(phase);
}

/** Is audio flowing? @param {Phase} phase */
export function live(phase) {
  return phase === "listening" || phase === "speaking" || phase === "thinking" || phase === "answering";
}

/** Milliseconds before reconnection attempt `attempt` (0, 1, ...). @param {number} attempt */
export function backoff(attempt) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
}

/**
 * @param {State} state
 * @param {Event} event
 * @returns {[State, Effect[]]}
 */
export function reduce(state, event) {
  switch (event.type) {
    case "start":
      if (active(state.phase)) return [state, []];
      return [{ ...INITIAL, phase: "asking" }, [{ type: "ask_microphone" }]];
    case "microphone_ready":
      if (state.phase !== "asking") return [state, []];
      return [{ ...state, phase: "connecting" }, [{ type: "open", resume: null }]];
    case "microphone_failed":
      if (!active(state.phase)) return [state, []];
      return refuse(state, event.problem, state.phase === "asking" ? [] : [{ type: "end" }]);
    case "welcome":
      return welcome(state, event.message);
    case "answer":
      if (!live(state.phase)) return [state, []];
      return [{ ...state, phase: event.sounding ? "answering" : "listening" }, []];
    case "endpoint":
      // The answer may have begun before this is heard of: then it is no longer thought about.
      if (!live(state.phase) || state.phase === "answering") return [state, []];
      return [{ ...state, phase: "thinking" }, []];
    case "speech":
      // What is said over an answer is a turn only once the answer stops for it.
      if (!live(state.phase) || state.phase === "answering") return [state, []];
      if (state.phase === "thinking" && !event.speaking) return [state, []];
      return [{ ...state, phase: event.speaking ? "speaking" : "listening" }, []];
    case "generation":
      if (event.generation <= state.generation) return [state, []];
      return [{ ...state, generation: event.generation }, [{ type: "clear", generation: event.generation }]];
    case "config":
      return [{ ...state, config: event.config }, []];
    case "busy":
      return busy(state, Math.max(BUSY_FLOOR_MS, event.retryAfterMs), event.now);
    case "closed":
      return closed(state, event.code, event.now);
    case "due":
    case "retry":
      return retry(state, event.now);
    case "stop":
      if (!active(state.phase)) return [state, []];
      return [{ ...INITIAL, phase: "ended", problem: "stopped", config: state.config }, [{ type: "end" }, { type: "release" }]];
  }
}

/**
 * @param {State} state
 * @param {Welcome} message
 * @returns {[State, Effect[]]}
 */
function welcome(state, message) {
  if (state.phase !== "connecting" && state.phase !== "reconnecting") return [state, []];
  /** @type {State} */
  const next = {
    ...state,
    phase: "listening",
    problem: "",
    token: message.resume_token,
    session: message.session,
    generation: message.generation,
    config: message.config,
    attempt: 0,
    lostAt: 0,
    retryAt: 0,
    resumeMs: message.limits.resume_seconds * 1000,
    resumed: message.resumed,
  };
  return [next, [{ type: "restart", generation: message.generation }]];
}

/**
 * @param {State} state
 * @param {number} waitMs
 * @param {number} now
 * @returns {[State, Effect[]]}
 */
function busy(state, waitMs, now) {
  if (!active(state.phase) || state.phase === "asking") return [state, []];
  return [
    { ...state, phase: "busy", problem: "", lostAt: state.lostAt || now, retryAt: now + waitMs },
    [{ type: "close" }, { type: "silence" }, { type: "wait", ms: waitMs }],
  ];
}

/** What a page cannot mend by trying again: close code -> problem. @type {Record<number, string>} */
const REFUSALS = {
  [CLOSE.login_required]: "login_required",
  [CLOSE.bad_json]: "fault",
  [CLOSE.bad_message]: "fault",
  [CLOSE.bad_frame]: "fault",
  [CLOSE.frame_size]: "fault",
  [CLOSE.out_of_order]: "fault",
  [CLOSE.oversize]: "fault",
  [CLOSE.hello_first]: "fault",
};

/** Why it reconnects, where the close code says more than that the network dropped. @type {Record<number, string>} */
const INTERRUPTIONS = {
  [CLOSE.inference_lost]: "inference_lost",
  [CLOSE.going_away]: "going_away",
  [CLOSE.too_slow]: "too_slow",
  [CLOSE.resume_expired]: "resume_expired",
};

/**
 * @param {State} state
 * @param {number} code
 * @param {number} now
 * @returns {[State, Effect[]]}
 */
function closed(state, code, now) {
  if (!active(state.phase) || state.phase === "asking" || state.phase === "busy") return [state, []];
  if (code === CLOSE.busy) return busy(state, backoff(2), now);
  if (code === CLOSE.normal) return over(state, "finished");
  if (code === CLOSE.ended_by_operator) return over(state, "ended_by_operator");
  if (code in REFUSALS) return refuse(state, REFUSALS[code], []);
  const lostAt = state.lostAt || now;
  if (now - lostAt > GIVE_UP_MS) return over(state, "lost");
  // A token that the server no longer knows will not get better: the next attempt begins a new session.
  const stale = code === CLOSE.resume_expired;
  const ms = stale ? 0 : backoff(state.attempt);
  return [
    {
      ...state,
      phase: "reconnecting",
      problem: INTERRUPTIONS[code] ?? "network",
      token: stale ? null : state.token,
      lostAt,
      retryAt: now + ms,
    },
    [{ type: "silence" }, { type: "wait", ms }],
  ];
}

/**
 * The wait is over, or the person (or the network, coming back) does not want to wait.
 * @param {State} state
 * @param {number} now
 * @returns {[State, Effect[]]}
 */
function retry(state, now) {
  if ((state.phase !== "reconnecting" && state.phase !== "busy") || state.retryAt === 0) return [state, []];
  const token = now - state.lostAt > state.resumeMs ? null : state.token;
  const phase = state.phase === "busy" ? "connecting" : "reconnecting";
  return [
    { ...state, phase, token, retryAt: 0, attempt: state.attempt + 1 },
    [{ type: "open", resume: token }],
  ];
}

/** @param {State} state @param {string} problem @returns {[State, Effect[]]} */
function over(state, problem) {
  return [{ ...INITIAL, phase: "ended", problem, config: state.config }, [{ type: "release" }]];
}

/** @param {State} state @param {string} problem @param {Effect[]} first @returns {[State, Effect[]]} */
function refuse(state, problem, first) {
  return [{ ...INITIAL, phase: "refused", problem, config: state.config }, [...first, { type: "release" }]];
}
