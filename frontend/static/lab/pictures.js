// @ts-check
/** Draws the lab's pictures: waveforms, spectrograms and their difference, codes. Colours come from the page. */

import { BINS, difference, outline, spectrogram } from "./spectrum.js";

/** @typedef {[number, number, number]} Rgb */

const LOUDEST_DB = -20;
const QUIETEST_DB = -85;
/** From silence to loud: indigo, sea green, turmeric, cotton. @type {[number, Rgb][]} */
const HEAT = [
  [0, [17, 19, 44]],
  [0.35, [29, 60, 110]],
  [0.6, [14, 124, 116]],
  [0.82, [242, 165, 38]],
  [1, [255, 246, 224]],
];
/** Codec quieter, the same, codec louder. @type {[number, Rgb][]} */
const CHANGE = [
  [0, [95, 211, 198]],
  [0.5, [24, 27, 58]],
  [1, [245, 140, 60]],
];
const CHANGE_DB = 24;

/** @param {[number, Rgb][]} scale @returns {Uint8ClampedArray} 256 colours */
function palette(scale) {
  const colours = new Uint8ClampedArray(3 * 256);
  for (let i = 0; i < 256; i++) {
    const at = i / 255;
    const upper = Math.max(1, scale.findIndex(([stop]) => stop >= at));
    const [[from, a], [to, b]] = [scale[upper - 1], scale[upper]];
    const share = (at - from) / (to - from);
    for (let c = 0; c < 3; c++) colours[3 * i + c] = a[c] + (b[c] - a[c]) * share;
  }
  return colours;
}

const heat = palette(HEAT);
const change = palette(CHANGE);

/** A canvas as sharp as the screen. @param {HTMLCanvasElement} canvas */
function fit(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * A picture of numbers, stretched over the canvas: `columns x rows`, column by column, first row at the bottom.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 * @param {number} columns
 * @param {number} rows
 * @param {Uint8ClampedArray} colours
 * @param {(value: number) => number} share 0 to 1
 * @param {boolean} [smooth]
 */
function image(canvas, values, columns, rows, colours, share, smooth = true) {
  const context = fit(canvas);
  const pixels = new ImageData(columns, rows);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      const index = Math.round(255 * Math.max(0, Math.min(1, share(values[column * rows + row]))));
      const at = 4 * ((rows - 1 - row) * columns + column);
      pixels.data.set(colours.subarray(3 * index, 3 * index + 3), at);
      pixels.data[at + 3] = 255;
    }
  }
  const sheet = document.createElement("canvas");
  sheet.width = columns;
  sheet.height = rows;
  /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d")).putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.drawImage(sheet, 0, 0, canvas.width, canvas.height);
}

/** @typedef {Record<"wave" | "original" | "codec" | "difference" | "codes", HTMLCanvasElement>} Canvases */

export class Pictures {
  /** @param {Canvases} canvases */
  constructor(canvases) {
    this.canvases = canvases;
    /** @type {import("./client.js").Result | null} */
    this.result = null;
    new ResizeObserver(() => this.draw()).observe(canvases.wave);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {import("./client.js").Result} result */
  show(result) {
    this.result = result;
    this.draw();
  }

  draw() {
    if (!this.result || this.canvases.wave.clientWidth === 0) return;
    const { original, reconstruction, figures } = this.result;
    this.#wave(original, reconstruction);
    const columns = Math.min(1200, Math.max(64, Math.round(this.canvases.original.clientWidth)));
    const [before, after] = [spectrogram(original, columns), spectrogram(reconstruction, columns)];
    const loudness = (/** @type {number} */ db) => (db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB);
    image(this.canvases.original, before.db, columns, BINS, heat, loudness);
    image(this.canvases.codec, after.db, columns, BINS, heat, loudness);
    const louder = (/** @type {number} */ db) => 0.5 + db / (2 * CHANGE_DB);
    image(this.canvases.difference, difference(before, after), columns, BINS, change, louder);
    const { codes, quantizers } = figures;
    const frames = codes[0]?.length ?? 0;
    // First level on top; what is not decoded stays in the dark.
    const flat = new Float32Array(frames * codes.length);
    codes.forEach((level, q) =>
      level.forEach((code, frame) => {
        flat[frame * codes.length + codes.length - 1 - q] = q < quantizers ? 0.15 + (0.85 * code) / 1023 : 0;
      }),
    );
    image(this.canvases.codes, flat, frames, codes.length, heat, (value) => value, false);
  }

  /** @param {Float32Array} original @param {Float32Array} reconstruction */
  #wave(original, reconstruction) {
    const canvas = this.canvases.wave;
    const context = fit(canvas);
    const style = getComputedStyle(canvas);
    const middle = canvas.height / 2;
    const peak = Math.max(0.05, ...outline(original, 200).map(([low, high]) => Math.max(-low, high)));
    for (const [samples, colour, alpha] of /** @type {const} */ ([
      [original, "--heard", 1],
      [reconstruction, "--spoken", 0.65],
    ])) {
      context.globalAlpha = alpha;
      context.fillStyle = style.getPropertyValue(colour).trim();
      outline(samples, canvas.width).forEach(([low, high], x) => {
        const top = middle - (high / peak) * middle * 0.94;
        context.fillRect(x, top, 1, Math.max(1, ((high - low) / peak) * middle * 0.94));
      });
    }
  }
}
