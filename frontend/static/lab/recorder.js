// @ts-check
/** A short recording of the microphone as 16 kHz PCM, unpacked: what is compared with a codec should not have met one. */

import { MicrophoneError, microphoneProblem } from "../voice/audio.js";

export const LONGEST_S = 20;
const FRAME = 320;

export class Recorder {
  /**
   * @param {string} worklet address of the capture worklet
   * @param {(seconds: number, level: number) => void} progress
   */
  constructor(worklet, progress) {
    this.worklet = worklet;
    this.progress = progress;
    /** @type {Int16Array[]} */
    this.frames = [];
    /** @type {(() => void) | null} */
    this.release = null;
  }

  get recording() {
    return this.release !== null;
  }

  /** Begins in a click. @param {() => void} full called once nothing more fits @throws {MicrophoneError} */
  async start(full) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new MicrophoneError("insecure");
    if (!("AudioWorkletNode" in window)) throw new MicrophoneError("unsupported");
    const context = new AudioContext();
    /** @type {MediaStream | null} */
    let stream = null;
    try {
      const module_ = context.audioWorklet.addModule(this.worklet);
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: true, channelCount: 1 },
      });
      await Promise.all([module_, context.resume()]);
    } catch (error) {
      stream?.getTracks().forEach((track) => track.stop());
      void context.close();
      throw new MicrophoneError(microphoneProblem(error), error);
    }
    const granted = stream;
    const node = new AudioWorkletNode(context, "voice-capture");
    this.frames = [];
    this.release = () => {
      node.port.postMessage("stop");
      granted.getTracks().forEach((track) => track.stop());
      void context.close();
    };
    node.port.onmessage = ({ data }) => {
      if (!this.recording) return;
      const frame = new Int16Array(data);
      this.frames.push(frame);
      this.progress((this.frames.length * FRAME) / 16_000, frame.reduce((top, x) => Math.max(top, Math.abs(x)), 0) / 32_768);
      if (this.frames.length * FRAME >= LONGEST_S * 16_000) full();
    };
    new MediaStreamAudioSourceNode(context, { mediaStream: granted }).connect(node).connect(context.destination);
  }

  /** @returns {Int16Array} what was recorded */
  stop() {
    this.release?.();
    this.release = null;
    const pcm = new Int16Array(this.frames.length * FRAME);
    this.frames.forEach((frame, i) => pcm.set(frame, i * FRAME));
    return pcm;
  }
}
