// @ts-check
/// <reference path="./worklet.d.ts" />
/**
 * Capture: whatever rate the device has -> 16 kHz mono PCM16LE in frames of 20 ms, each posted as its own buffer
 * (transferred, not copied). Runs on the audio thread.
 */

import { Resampler } from "./resampler.js";

const RATE = 16_000;
const FRAME = 320;

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.resampled = new Float32Array(this.resampler.maxOutput(4096));
    this.mono = new Float32Array(128);
    this.frame = new DataView(new ArrayBuffer(FRAME * 2));
    this.filled = 0;
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data === "stop") this.running = false;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channels = inputs[0];
    if (channels === undefined || channels.length === 0) return this.running;
    const samples = this.resampler.process(this.#mix(channels), this.resampled);
    for (let i = 0; i < samples.length; i++) {
      const value = Math.max(-1, Math.min(1, samples[i]));
      this.frame.setInt16(2 * this.filled, Math.round(value * 32767), true);
      this.filled += 1;
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
        this.frame = new DataView(new ArrayBuffer(FRAME * 2));
        this.filled = 0;
      }
    }
    return this.running;
  }

  /** @param {Float32Array[]} channels @returns {Float32Array} */
  #mix(channels) {
    if (channels.length === 1) return channels[0];
    const { length } = channels[0];
    if (this.mono.length !== length) this.mono = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.mono[i] = sum / channels.length;
    }
    return this.mono;
  }
}

registerProcessor("voice-capture", CaptureProcessor);
