// @ts-check
/** A small audio player: one button, a waveform to seek on. Loads no sound until it is played; one sounds at a time. */

import { drawPeaks, loadPeaks } from "./peaks.js";
import { label, pageLanguage } from "./words.js";

/** @type {HTMLAudioElement | null} */
let sounding = null;

/** Stop whatever recording is being played. */
export function hush() {
  sounding?.pause();
}

/**
 * Bring a player to life.
 * @param {HTMLElement} root contains a button, an input[type=range] and a [data-time]
 * @param {{url: string, seconds: number, what: string}} recording
 */
export function player(root, { url, seconds, what }) {
  const button = /** @type {HTMLButtonElement} */ (root.querySelector("button"));
  const bar = /** @type {HTMLInputElement} */ (root.querySelector("input"));
  const time = /** @type {HTMLElement} */ (root.querySelector("[data-time]"));
  const language = pageLanguage();
  const audio = new Audio();
  audio.preload = "none";
  audio.src = url;
  let length = seconds;
  const canvas = root.querySelector("canvas");
  /** @type {number[]} */
  let peaks = [];
  if (canvas) {
    void loadPeaks(url).then((found) => {
      peaks = found;
      show();
    });
    new ResizeObserver(() => drawPeaks(canvas, peaks, 0)).observe(canvas);
  }

  const show = () => {
    const at = audio.currentTime;
    bar.value = String(length > 0 ? Math.round((1000 * at) / length) : 0);
    bar.style.setProperty("--at", String(length > 0 ? at / length : 0));
    if (canvas) drawPeaks(canvas, peaks, length > 0 ? at / length : 0);
    time.textContent = label(language, "seconds", { n: (audio.paused && at === 0 ? length : at).toFixed(1) });
    button.dataset.playing = String(!audio.paused);
    button.setAttribute("aria-label", label(language, audio.paused ? "play" : "pause", { what }));
  };
  bar.setAttribute("aria-label", label(language, "position", { what }));

  const tick = () => {
    show();
    if (!audio.paused) requestAnimationFrame(tick);
  };
  audio.addEventListener("play", () => {
    if (sounding !== audio) hush();
    sounding = audio;
    tick();
  });
  audio.addEventListener("pause", show);
  audio.addEventListener("seeked", show);
  audio.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(audio.duration)) length = audio.duration;
    show();
  });
  audio.addEventListener("ended", () => {
    audio.currentTime = 0;
    show();
  });
  audio.addEventListener("error", () => {
    root.dataset.broken = "true";
    time.textContent = label(language, "recording_gone");
  });
  button.addEventListener("click", () => {
    if (!audio.paused) return audio.pause();
    void audio.play().catch(() => undefined); // the error event says why
  });
  bar.addEventListener("input", () => {
    audio.currentTime = (Number(bar.value) / 1000) * length;
    show();
  });
  show();
}
