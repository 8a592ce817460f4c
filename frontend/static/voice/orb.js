// @ts-check
/**
 * The living picture: two rings around the button, each the real waveform of one direction bent into a circle. The
 * outer one is the microphone, the inner one what comes back. Beside it, the two level bars.
 */

import { Needle, loudness, ring, rms } from "./meters.js";

/** @typedef {import("./audio.js").AudioGraph} AudioGraph */

const POINTS = 180;
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
    this.running = false;
    this.last = 0;
    this.told = 0;
    this.size = 0;
    this.colours = { heard: "", spoken: "" };
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
    this.colours = { heard: style.getPropertyValue("--heard"), spoken: style.getPropertyValue("--spoken") };
    this.#draw();
  }

  /** @param {AudioGraph} audio */
  start(audio) {
    if (this.running) return;
    this.running = true;
    this.last = performance.now();
    /** @param {number} now */
    const frame = (now) => {
      if (!this.running) return;
      if (audio.heard) measure(this.heard, audio.heard, now - this.last);
      if (audio.spoken) measure(this.spoken, audio.spoken, now - this.last);
      this.last = now;
      this.#draw();
      this.#bars(now);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  stop() {
    this.running = false;
    for (const one of [this.heard, this.spoken]) {
      one.needle.value = 0;
      one.outline.fill(0);
    }
    this.#draw();
    this.#bars(Infinity);
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
    const { context, size } = this;
    context.clearRect(0, 0, size, size);
    this.#ring(this.heard, size * 0.405, this.colours.heard);
    this.#ring(this.spoken, size * 0.325, this.colours.spoken);
  }

  /** @param {Side} one @param {number} radius @param {string} colour */
  #ring({ needle, outline }, radius, colour) {
    const { context, size } = this;
    const level = needle.value;
    const swing = REDUCED.matches ? 0 : size * 0.16;
    context.beginPath();
    for (let i = 0; i <= POINTS; i++) {
      const angle = (2 * Math.PI * i) / POINTS + Math.PI / 2;
      const wave = outline[i % POINTS];
      const r = radius + Math.max(-0.05 * size, Math.min(0.075 * size, wave * swing * 2)) + level * size * 0.012;
      const x = size / 2 + r * Math.cos(angle);
      const y = size / 2 + r * Math.sin(angle);
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    context.closePath();
    context.strokeStyle = colour;
    context.lineJoin = "round";
    context.globalAlpha = 0.1 + 0.18 * level;
    context.lineWidth = 3 + 16 * level;
    context.stroke();
    context.globalAlpha = 0.42 + 0.58 * Math.min(1, level * 2);
    context.lineWidth = 2 + 1.5 * level;
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** @param {HTMLElement} meter @returns {Side} */
function side(meter) {
  const bar = /** @type {HTMLElement} */ (meter.firstElementChild);
  return { needle: new Needle(), samples: new Float32Array(2048), outline: new Float32Array(POINTS), bar, meter };
}

/** @param {Side} one @param {AnalyserNode} analyser @param {number} elapsedMs */
function measure(one, analyser, elapsedMs) {
  analyser.getFloatTimeDomainData(one.samples);
  one.needle.move(loudness(rms(one.samples.subarray(1024))), elapsedMs);
  ring(one.samples, one.outline);
}
