// @ts-check
/// <reference path="./worklet.d.ts" />
/**
 * Playback: packets of 16 kHz audio -> jitter buffer -> the device's rate. Reports four times a second what has been
 * played. Runs on the audio thread.
 *
 * Takes {type:"audio", samples, generation, timestampMs}, {type:"clear", generation}, {type:"restart", generation},
 * {type:"slack", ms}, {type:"tap", on}, {type:"stop"}; gives {@link PlaybackReport}, and {type:"tap", samples} with
 * exactly what it rendered while tapped (the browser test listens there), and {@link PlaybackBegan}.
 */

import { JitterBuffer } from "./jitter.js";
import { Resampler } from "./resampler.js";

/** @typedef {import("./types.js").PlaybackReport} PlaybackReport */
/** @typedef {import("./types.js").PlaybackBegan} PlaybackBegan */

const RATE = 16_000;
const BLOCK = 40; // 2.5 ms: how much is taken from the buffer at once
const REPORT_SECONDS = 0.25;

class PlaybackProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.jitter = new JitterBuffer({ sampleRate: RATE });
    this.resampler = new Resampler(RATE, sampleRate);
    this.block = new Float32Array(BLOCK);
    this.resampled = new Float32Array(this.resampler.maxOutput(BLOCK));
    /** Samples at the device's rate that did not fit into the last quantum. @type {Float32Array} */
    this.ready = this.resampled.subarray(0, 0);
    this.sinceReport = 0;
    this.arrived = false;
    this.tapped = false;
    this.running = true;
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  /** @param {any} message */
  #receive(message) {
    switch (message.type) {
      case "audio":
        this.arrived = this.jitter.push(message.samples, message.generation, message.timestampMs) || this.arrived;
        break;
      case "clear":
        this.#report(); // how much of the answer was heard, to the millisecond
        this.jitter.clear(message.generation);
        break;
      case "restart":
        this.jitter.restart(message.generation);
        break;
      case "slack":
        this.jitter.slackMs = message.ms;
        break;
      case "tap":
        this.tapped = message.on;
        break;
      case "stop":
        this.running = false;
        break;
    }
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const [output] = outputs[0];
    let filled = 0;
    while (filled < output.length) {
      if (this.ready.length === 0) {
        const silent = !this.jitter.playing;
        this.jitter.read(this.block);
        if (silent && this.jitter.playing) this.port.postMessage({ type: "began", generation: this.jitter.generation });
        this.ready = this.resampler.process(this.block, this.resampled);
        continue;
      }
      const part = this.ready.subarray(0, output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.ready = this.ready.subarray(part.length);
    }
    for (let channel = 1; channel < outputs[0].length; channel++) outputs[0][channel].set(output);
    if (this.tapped) this.port.postMessage({ type: "tap", samples: output.slice() });
    this.sinceReport += output.length;
    if (this.sinceReport >= REPORT_SECONDS * sampleRate) this.#report();
    return this.running;
  }

  #report() {
    this.sinceReport = 0;
    const { jitter } = this;
    /** @type {PlaybackReport} */
    const report = {
      type: "played",
      generation: jitter.generation,
      playedMs: jitter.playedMs,
      bufferedMs: jitter.bufferedMs,
      targetMs: jitter.targetMs,
      underruns: jitter.underruns,
      droppedMs: jitter.droppedMs,
      idle: !this.arrived && jitter.count === 0,
    };
    this.arrived = false;
    this.port.postMessage(report);
  }
}

registerProcessor("voice-playback", PlaybackProcessor);
