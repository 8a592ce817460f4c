// @ts-check
/** The codec lab: a recording from somewhere, a setting, and what comes of it to see and to hear. */

import { MicrophoneError } from "../voice/audio.js";
import { describe, label, pageLanguage } from "../voice/words.js";
import { LabClient, LabError } from "./client.js";
import { PairPlayer } from "./pair.js";
import { Pictures } from "./pictures.js";
import { LONGEST_S, Recorder } from "./recorder.js";
import { Sources } from "./sources.js";
import { wavFile } from "./wav.js";

/** @template {Element} T @param {string} selector @param {new () => T} kind @returns {T} */
function part(selector, kind) {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`the page lacks ${selector}`);
  return element;
}

const root = part("#lab", HTMLElement);
const language = pageLanguage();
const say = (/** @type {string} */ key, /** @type {Record<string, string | number>} */ values = {}) => label(language, key, values);
const csrf = part("input[name=csrfmiddlewaretoken]", HTMLInputElement).value;
const client = new LabClient(root.dataset.url ?? "", csrf);
const status_ = part("#lab-status", HTMLElement);
const quantizers = part("input[name=quantizers]", HTMLInputElement);
const seek = part("#lab-seek", HTMLInputElement);
const play = part("#lab-play", HTMLButtonElement);
const record = part("#lab-record", HTMLButtonElement);
const again = part("#lab-again", HTMLButtonElement);
const canvas = (/** @type {string} */ name) => part(`canvas[data-picture=${name}]`, HTMLCanvasElement);
const pictures = new Pictures({
  wave: canvas("wave"),
  original: canvas("original"),
  codec: canvas("codec"),
  difference: canvas("difference"),
  codes: canvas("codes"),
});
const pair = new PairPlayer(show);
const recorder = new Recorder(root.dataset.capture ?? "", (seconds, level) => {
  record.style.setProperty("--level", String(level));
  part("#lab-record-time", HTMLElement).textContent = `${seconds.toFixed(1)} / ${LONGEST_S}`;
});

/** @type {{name: string, file: Blob} | null} */
let source = null;
/** @type {AbortController | null} */
let asking = null;
/** @type {string[]} */
let links = [];
let shownName = "";

const sources = new Sources(root, {
  chosen: (name, file) => take(name, file),
  failed: () => tell(say("lab_no_sample"), true),
});

/** @returns {{preset: string, quantizers: number}} */
function setting() {
  const preset = part("input[name=preset]:checked", HTMLInputElement).value;
  return { preset, quantizers: Number(quantizers.value) };
}

/** @param {string} words @param {boolean} [bad] */
function tell(words, bad = false) {
  status_.textContent = words;
  status_.dataset.bad = String(bad);
}

/** @param {string} name @param {Blob} file */
function take(name, file) {
  source = { name, file };
  void work();
}

/** Ask for what is chosen now; an older question is given up. */
async function work() {
  if (!source) return;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const { name, file } = source;
  again.hidden = true;
  root.dataset.state = "working";
  const patience = setTimeout(() => tell(say("lab_working")), 250);
  try {
    const result = await client.ask(name, file, setting(), mine.signal);
    if (asking !== mine) return;
    tell(result.figures.cut ? say("lab_cut", { n: LONGEST_S }) : "");
    pictures.show(result);
    pair.load(result.original, result.reconstruction, name !== shownName);
    shownName = name;
    figures(result);
    root.dataset.state = "ready";
  } catch (error) {
    if (asking !== mine) return;
    root.dataset.state = "failed";
    again.hidden = false;
    const words = error instanceof LabError && error.message ? error.message : say("lab_no_answer");
    tell(words, true);
    if (!(error instanceof LabError)) console.error(error);
  } finally {
    clearTimeout(patience);
  }
}

/** @param {import("./client.js").Result} result */
function figures({ figures: found, originalFile, reconstructionFile }) {
  const put = (/** @type {string} */ name, /** @type {string} */ words) => {
    part(`[data-lab=${name}]`, HTMLElement).textContent = words;
  };
  put("snr", found.snr_db.toFixed(1));
  put("kbps", found.kbps.toFixed(found.kbps < 10 ? 2 : 1).replace(/\.?0+$/, ""));
  put("rtf", found.real_time_factor.toFixed(3));
  put("seconds", found.seconds.toFixed(2));
  put("delay", String(Math.round(found.delay_ms + found.hop / 16)));
  const bytes = (found.kbps * 1000 * found.seconds) / 8;
  put("bytes", (bytes / 1000).toFixed(1));
  put("part", ((100 * bytes) / (32_000 * found.seconds)).toFixed(1));
  root.dataset.preset = found.preset;
  links.forEach((link) => URL.revokeObjectURL(link));
  const stem = `telucodec-${found.preset}-${found.quantizers}`;
  const { codes, hop, preset, model } = found;
  const json = new Blob([JSON.stringify({ preset, hop, sample_rate: 16_000, quantizers: found.quantizers, model, codes })]);
  links = /** @type {const} */ ([
    ["original", originalFile, "original.wav"],
    ["codec", reconstructionFile, `${stem}.wav`],
    ["codes", json, `${stem}-codes.json`],
  ]).map(([name, blob, file]) => {
    const link = part(`a[data-download=${name}]`, HTMLAnchorElement);
    link.href = URL.createObjectURL(blob);
    link.download = file;
    return link.href;
  });
}

/** The player as it stands. */
function show() {
  play.dataset.playing = String(pair.playing);
  play.setAttribute("aria-label", say(pair.playing ? "pause" : "play", { what: say("lab_recording") }));
  place();
  if (pair.playing) requestAnimationFrame(follow);
}

function follow() {
  place();
  if (pair.playing) requestAnimationFrame(follow);
}

function place() {
  const share = pair.seconds > 0 ? pair.position / pair.seconds : 0;
  seek.value = String(Math.round(1000 * share));
  seek.style.setProperty("--at", String(share));
  seek.setAttribute("aria-valuetext", say("seconds", { n: pair.position.toFixed(1) }));
  root.style.setProperty("--place", String(share));
  part("#lab-time", HTMLElement).textContent = `${pair.position.toFixed(1)} / ${pair.seconds.toFixed(1)}`;
}

function showQuantizers() {
  const { preset, quantizers: count } = setting();
  const kbps = count * (preset === "hifi" ? 2 : 0.25);
  quantizers.style.setProperty("--at", String((count - 1) / 7));
  quantizers.setAttribute("aria-valuetext", `${count}, ${kbps} kbps`);
  part("[data-quantizers=count]", HTMLElement).textContent = String(count);
  part("[data-quantizers=kbps]", HTMLElement).textContent = String(kbps);
}

async function startRecording() {
  pair.pause();
  record.disabled = true;
  tell(say("lab_asking"));
  try {
    await recorder.start(stopRecording);
    record.setAttribute("aria-pressed", "true");
    tell(say("lab_speak"));
  } catch (error) {
    const [title, advice] = describe(language, "refused", error instanceof MicrophoneError ? error.problem : "audio_failed");
    tell(`${title}. ${advice}`, true);
  } finally {
    record.disabled = false;
  }
}

function stopRecording() {
  const pcm = recorder.stop();
  record.setAttribute("aria-pressed", "false");
  part("#lab-record-time", HTMLElement).textContent = "";
  if (pcm.length < 1600) return tell(say("lab_too_short"), true);
  sources.none();
  take(`recording ${Date.now()}`, wavFile(pcm));
}

record.addEventListener("click", () => {
  if (recorder.recording) stopRecording();
  else void startRecording();
});
again.addEventListener("click", () => void work());
play.addEventListener("click", () => pair.toggle());
seek.addEventListener("input", () => pair.seek((Number(seek.value) / 1000) * pair.seconds));
quantizers.addEventListener("input", showQuantizers);
root.addEventListener("change", (event) => {
  const input = /** @type {HTMLInputElement} */ (event.target);
  if (input.name === "preset" || input.name === "quantizers") {
    showQuantizers();
    void work();
  }
  if (input.name === "side") pair.choose(input.value === "original" ? "original" : "codec");
  if (input.name === "loop") pair.setLoop(input.checked);
});
for (const picture of root.querySelectorAll("canvas[data-picture]")) {
  picture.addEventListener("pointerdown", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    pair.seek((pair.seconds * (/** @type {PointerEvent} */ (event).clientX - left)) / width);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const side = { a: "original", b: "codec" }[event.key.toLowerCase()];
  if (side) part(`input[name=side][value=${side}]`, HTMLInputElement).click();
  if (event.code === "Space" && event.target === document.body) {
    event.preventDefault();
    pair.toggle();
  }
});
showQuantizers();
show();
sources.first();
if (root.dataset.debug === "true") Object.assign(window, { __lab: { pair, client } });
