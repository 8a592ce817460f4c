// @ts-check
/**
 * The living picture. At rest two threads lie interlaced around the button, like the ropes of a muggu drawn on a
 * doorstep, a dot in every eye. While people talk they part: the outer one is the real waveform of the microphone
 * bent into a circle, the inner one that of what comes back. Beside it, the two level bars.
 */

import { Needle, loudness, ring, rms } from "./meters.js";

/** @typedef {import("./audio.js").AudioGraph} AudioGraph */

const POINTS = 240;
/** Thirty pictures a second: a phone has better uses for its battery, and sound has the first call on the processor. */
const FRAME_MS = 30;
const LOOPS = 12;
const ROPE = 0.03; // shares of the picture's size
const LANE = 0.05; // half the room that a waveform has
const REST_RADIUS = 0.375;
const REDUCED = matchMedia("(prefers-reduced-motion: reduce)");

/** @typedef {{needle: Needle, samples: Float32Array<ArrayBuffer>, outline: Float32Array, bar: HTMLElement, meter: HTMLElement}} Side */

export class Orb {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{heard: HTMLElement, spoken: HTMLElement}} meters elements with role="meter"
   */
  constructor(canvas, meters) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.heard = side(meters.heard);
    this.spoken = side(meters.spoken);
    /** @type {AudioGraph | null} */
    this.audio = null;
    /** 1: the muggu at rest, 0: waveforms. */
    this.rest = 1;
    this.running = false;
    this.last = 0;
    this.told = 0;
    this.size = 0;
    this.colours = { heard: "", spoken: "", dots: "" };
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#resize());
    this.#resize();
  }

  #resize() {
    const ratio = Math.min(2, devicePixelRatio);
    this.size = this.canvas.clientWidth;
    this.canvas.width = this.canvas.height = Math.round(this.size * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.colours = { heard: colour("--heard"), spoken: colour("--spoken"), dots: colour("--dots") };
    this.#draw();
  }

  /** @param {AudioGraph} audio */
  start(audio) {
    this.audio = audio;
    this.#run();
  }

  stop() {
    this.audio = null;
    this.#run();
  }

  #run() {
    if (this.running) return;
    this.running = true;
    this.last = performance.now();
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** @param {number} now */
  #frame(now) {
    const elapsed = Math.max(0, now - this.last);
    const { audio } = this;
    if (elapsed < FRAME_MS) return void requestAnimationFrame((next) => this.#frame(next));
    this.last = now;
    measure(this.heard, audio?.heard ?? null, elapsed);
    measure(this.spoken, audio?.spoken ?? null, elapsed);
    const goal = audio === null ? 1 : 0;
    this.rest += (goal - this.rest) * (REDUCED.matches ? 1 : 1 - Math.exp(-elapsed / 180));
    this.running = audio !== null || this.rest < 0.999 || this.heard.needle.value + this.spoken.needle.value > 0.004;
    if (!this.running) this.rest = 1;
    this.#draw();
    this.#bars(this.running ? now : Infinity);
    if (this.running) requestAnimationFrame((next) => this.#frame(next));
  }

  /** @param {number} now */
  #bars(now) {
    const tell = now - this.told > 250;
    if (tell) this.told = Number.isFinite(now) ? now : 0;
    for (const { needle, bar, meter } of [this.heard, this.spoken]) {
      bar.style.setProperty("--level", needle.value.toFixed(3));
      if (tell) meter.setAttribute("aria-valuenow", String(Math.round(needle.value * 100)));
    }
  }

  #draw() {
    const { context, size, rest } = this;
    context.clearRect(0, 0, size, size);
    this.#dots();
    this.#ring(this.spoken, mix(0.298, REST_RADIUS, rest), -1, this.colours.spoken);
    this.#ring(this.heard, mix(0.395, REST_RADIUS, rest), 1, this.colours.heard);
  }

  /** The dots of the muggu, one in each eye of the rope. */
  #dots() {
    const { context, size, rest } = this;
    context.fillStyle = this.colours.dots;
    context.globalAlpha = rest;
    for (let i = 0; i < 2 * LOOPS; i++) {
      const angle = (Math.PI * i) / LOOPS + Math.PI / 2;
      context.beginPath();
      context.arc(
        size * (0.5 + REST_RADIUS * Math.cos(angle)),
        size * (0.5 + REST_RADIUS * Math.sin(angle)),
        size * 0.0065,
        0,
        2 * Math.PI,
      );
      context.fill();
    }
    context.globalAlpha = 1;
  }

  /** @param {Side} one @param {number} radius share of the size @param {1 | -1} sign @param {string} colour */
  #ring({ needle, outline }, radius, sign, colour) {
    const { context, size, rest } = this;
    const level = needle.value;
    const swing = REDUCED.matches ? 0 : 0.3;
    context.beginPath();
    for (let i = 0; i <= POINTS; i++) {
      const turn = (2 * Math.PI * i) / POINTS;
      // Soft limit: a shout fills its own lane, and no more.
      const wave = LANE * Math.tanh((outline[i % POINTS] * swing) / LANE);
      const r = size * (radius + mix(wave, sign * ROPE * Math.cos(LOOPS * turn), rest));
      const x = size / 2 + r * Math.cos(turn + Math.PI / 2);
      const y = size / 2 + r * Math.sin(turn + Math.PI / 2);
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    context.closePath();
    context.strokeStyle = colour;
    context.lineJoin = "round";
    context.globalAlpha = (1 - rest) * (0.1 + 0.18 * level);
    context.lineWidth = 3 + 16 * level;
    context.stroke();
    context.globalAlpha = mix(0.42 + 0.58 * Math.min(1, level * 2), 0.9, rest);
    context.lineWidth = mix(2 + 1.5 * level, 2.5, rest);
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** @param {number} from @param {number} to @param {number} share */
const mix = (from, to, share) => from + (to - from) * share;

/** @param {HTMLElement} meter @returns {Side} */
function side(meter) {
  const bar = /** @type {HTMLElement} */ (meter.firstElementChild);
  return { needle: new Needle(), samples: new Float32Array(2048), outline: new Float32Array(POINTS), bar, meter };
}

/** @param {Side} one @param {AnalyserNode | null} analyser @param {number} elapsedMs */
function measure(one, analyser, elapsedMs) {
  if (analyser) analyser.getFloatTimeDomainData(one.samples);
  else one.samples.fill(0);
  one.needle.move(loudness(rms(one.samples.subarray(1024))), elapsedMs);
  ring(one.samples, one.outline);
}
