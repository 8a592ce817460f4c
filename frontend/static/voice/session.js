// @ts-check
/**
 * A talk session: carries out what the state machine (connection.js) decides, and ties the sound graph to the socket.
 * Knows nothing of the page; the page hears of everything through the listener.
 */

import { AudioGraph, MicrophoneError } from "./audio.js";
import { INITIAL, active, live, reduce } from "./connection.js";
import { speaksOpus } from "./opus.js";
import { FRAME_MS } from "./protocol.js";
import { Silence } from "./silence.js";
import { Link } from "./transport.js";
import { hello, untold } from "./wishes.js";

/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Event} Event */
/** @typedef {import("./connection.js").Effect} Effect */
/** @typedef {import("./types.js").ServerMessage} ServerMessage */
/** @typedef {import("./types.js").PlaybackReport} PlaybackReport */
/** @typedef {import("./types.js").SessionConfig} SessionConfig */

/**
 * @typedef {object} SessionListener
 * @property {(state: State) => void} state
 * @property {(message: ServerMessage) => void} message turns, stats, notices
 * @property {(figures: Partial<Measured>) => void} measured
 */

/**
 * What this side measures.
 * @typedef {object} Measured
 * @property {number} roundTripMs
 * @property {number} bufferedMs
 * @property {number} underruns
 * @property {number} droppedMs by the jitter buffer
 * @property {number} unsent frames that the socket could not take
 * @property {number} sentBytes of the microphone's frames, on this connection
 * @property {boolean} opus they travel as Opus
 */

/** Own voice: what piles up is only delay. Talk: the server may be a whole credit window ahead. */
const SLACK_MS = { reconstruct: 80, talk: 600 };

export class Session {
  /**
   * @param {{url: string, wanted: SessionConfig, worklets: {capture: string, playback: string}}} options
   * @param {SessionListener} listener
   */
  constructor({ url, wanted, worklets }, listener) {
    this.url = url;
    this.wanted = { ...wanted };
    this.listener = listener;
    /** @type {State} */
    this.state = INITIAL;
    /** @type {Link | null} */
    this.link = null;
    this.timer = 0;
    /** Whether Opus is offered; not again once it went wrong here. */
    this.opus = false;
    this.opusFailed = false;
    this.silence = new Silence();
    this.audio = new AudioGraph(worklets, {
      frame: (pcm) => this.link?.sendAudio(pcm, this.state.generation),
      began: () => this.silence.began(performance.now(), this.audio.outputMs),
      report: (report) => this.#played(report),
      lost: () => this.dispatch({ type: "microphone_failed", problem: "microphone_lost" }),
    });
  }

  start() {
    this.dispatch({ type: "start" });
  }

  stop() {
    this.dispatch({ type: "stop" });
  }

  toggle() {
    if (active(this.state.phase)) this.stop();
    else this.start();
  }

  /** Do not wait for the next attempt. */
  retry() {
    this.dispatch({ type: "retry", now: performance.now() });
  }

  /** Wishes for the running session, or for the next. @param {Partial<SessionConfig>} change */
  configure(change) {
    Object.assign(this.wanted, change);
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== null));
    if (live(this.state.phase) && Object.keys(given).length > 0) this.link?.send({ type: "config", ...given });
  }

  /** Push-to-talk. @param {"press" | "release"} event */
  key(event) {
    if (live(this.state.phase)) this.link?.send({ type: "key", event });
  }

  /** She stops; what is on its way is thrown away here at once. */
  interrupt() {
    if (live(this.state.phase)) this.link?.send({ type: "interrupt" });
  }

  /** The model forgets this conversation. */
  forget() {
    if (live(this.state.phase)) this.link?.send({ type: "forget" });
  }

  /** @param {Event} event */
  dispatch(event) {
    const [state, effects] = reduce(this.state, event);
    const changed = state !== this.state;
    this.state = state;
    for (const effect of effects) this.#perform(effect);
    if (changed) this.listener.state(this.state);
  }

  /** @param {Effect} effect */
  #perform(effect) {
    switch (effect.type) {
      case "ask_microphone":
        return void this.#openMicrophone();
      case "open":
        return this.#connect(effect.resume);
      case "end":
        this.link?.finish();
        this.link = null;
        return;
      case "close":
        this.link?.abandon();
        this.link = null;
        return;
      case "wait":
        clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.dispatch({ type: "due", now: performance.now() }), effect.ms);
        return;
      case "clear":
      case "restart":
        return this.audio.discard(effect.type, effect.generation);
      case "silence":
        return this.audio.discard("restart", this.state.generation);
      case "release":
        clearTimeout(this.timer);
        this.link?.abandon();
        this.link = null;
        this.audio.close();
    }
  }

  async #openMicrophone() {
    try {
      [this.opus] = await Promise.all([speaksOpus(), this.audio.open()]);
      this.#slack();
      this.dispatch({ type: "microphone_ready", now: performance.now() });
    } catch (error) {
      const problem = error instanceof MicrophoneError ? error.problem : "audio_failed";
      if (problem === "stopped") return;
      if (problem === "audio_failed") console.error(error);
      this.dispatch({ type: "microphone_failed", problem });
    }
  }

  #slack() {
    this.audio.playback?.port.postMessage({ type: "slack", ms: SLACK_MS[this.wanted.mode] });
  }

  /** @param {string | null} resume */
  #connect(resume) {
    clearTimeout(this.timer);
    this.link?.abandon();
    const client = `page; ${navigator.userAgent}`.slice(0, 200);
    const codecs = this.opus && !this.opusFailed ? ["opus", "pcm16"] : ["pcm16"];
    const link = new Link(
      this.url,
      hello(this.wanted, { codecs, resume, client }),
      {
        message: (message) => this.#received(message),
        audio: (samples, generation, timestampMs) => this.audio.play(samples, generation, timestampMs),
        closed: (code) => {
          if (this.link === link) this.dispatch({ type: "closed", code, now: performance.now() });
        },
        left: (mediaMs, capturedAt) => this.silence.frame(mediaMs, capturedAt),
        opusFailed: (reason) => {
          console.warn("voice: on without Opus:", reason);
          this.opusFailed = true;
          link.close();
        },
        roundTrip: (roundTripMs) => {
          const { dropped: unsent, sentBytes, coded: opus } = link;
          this.listener.measured({ roundTripMs, unsent, sentBytes, opus });
        },
      },
    );
    this.link = link;
  }

  /** @param {ServerMessage} message */
  #received(message) {
    const now = performance.now();
    switch (message.type) {
      case "welcome":
        this.silence.restart();
        this.dispatch({ type: "welcome", message });
        return this.configure(untold(this.wanted, message.config));
      case "config":
        Object.assign(this.wanted, message.config);
        this.#slack();
        return this.dispatch({ type: "config", config: message.config });
      case "generation":
        return this.dispatch({ type: "generation", generation: message.generation });
      case "endpoint":
        this.silence.ended(message.end_ms);
        return this.dispatch({ type: "endpoint" });
      case "speech":
        return this.dispatch({ type: "speech", speaking: message.event === "started" });
      case "answer":
        if (message.event === "started") this.silence.answered(message.latency);
        this.dispatch({ type: "answer", sounding: message.event === "started" || message.event === "resumed" });
        break;
      case "busy":
        return this.dispatch({ type: "busy", retryAfterMs: message.retry_after_s * 1000, now });
      case "error":
        console.warn(`voice: ${message.code}: ${message.message} ${message.hint}`);
    }
    this.listener.message(message);
  }

  /** @param {PlaybackReport} report */
  #played({ generation, playedMs, bufferedMs, underruns, droppedMs }) {
    if (!live(this.state.phase)) return;
    const whole = { played_ms: Math.max(0, Math.floor(playedMs)), buffered_ms: Math.round(bufferedMs) };
    this.link?.send({ type: "played", generation, ...whole, underruns });
    this.listener.measured({ bufferedMs, underruns, droppedMs, unsent: this.link?.dropped ?? 0 });
  }

  get deviceMs() {
    return FRAME_MS + this.audio.deviceMs; // filling one frame, and the sound card both ways
  }

  /**
   * Estimate of the delay from mouth to ear: filling one frame, the devices, the network both ways, the server, and
   * what waits in the buffer.
   * @param {{roundTripMs: number, serverMs: number, bufferedMs: number}} parts
   */
  mouthToEarMs({ roundTripMs, serverMs, bufferedMs }) {
    return this.deviceMs + roundTripMs + serverMs + bufferedMs;
  }
}
