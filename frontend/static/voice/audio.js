// @ts-check
/**
 * The sound graph: microphone -> capture worklet, playback worklet -> volume -> loudspeaker, and an analyser on each
 * side for the picture. One AudioContext at the device's own rate; both worklets convert to and from 16 kHz.
 */

/** @typedef {import("./types.js").PlaybackReport} PlaybackReport */

/**
 * @typedef {object} AudioListener
 * @property {(pcm: ArrayBuffer) => void} frame 20 ms from the microphone, PCM16LE 16 kHz
 * @property {(report: PlaybackReport) => void} report
 * @property {() => void} began sound comes out after silence
 * @property {() => void} lost the microphone went away
 */

/** Why the microphone could not be had; `problem` is a key of words.js. */
export class MicrophoneError extends Error {
  /** @param {string} problem @param {unknown} [cause] */
  constructor(problem, cause) {
    super(problem, { cause });
    this.problem = problem;
  }
}

/** What a DOMException of getUserMedia means to a person. @param {unknown} error */
export function microphoneProblem(error) {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "microphone_denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "microphone_missing";
  if (name === "NotReadableError" || name === "AbortError") return "microphone_busy";
  return "audio_failed";
}

export class AudioGraph {
  /**
   * @param {{capture: string, playback: string}} worklets addresses
   * @param {AudioListener} listener
   */
  constructor(worklets, listener) {
    this.worklets = worklets;
    this.listener = listener;
    this.volume = 0.5;
    this.headphones = false;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {MediaStreamAudioSourceNode | null} */
    this.source = null;
    /** @type {AudioWorkletNode | null} */
    this.capture = null;
    /** @type {AudioWorkletNode | null} */
    this.playback = null;
    /** @type {GainNode | null} */
    this.gain = null;
    /** @type {AnalyserNode | null} */
    this.heard = null;
    /** @type {AnalyserNode | null} */
    this.spoken = null;
    /** @type {((samples: Float32Array) => void) | null} */
    this.onTap = null;
  }

  /**
   * Ask for the microphone and start the graph. Has to begin in a click or key press, or browsers keep it silent.
   * @throws {MicrophoneError}
   */
  async open() {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new MicrophoneError("insecure");
    if (!("AudioWorkletNode" in window)) throw new MicrophoneError("unsupported");
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    try {
      const modules = [this.worklets.capture, this.worklets.playback].map((url) => context.audioWorklet.addModule(url));
      const stream = await this.#askMicrophone();
      await Promise.all([...modules, context.resume()]);
      if (this.context !== context) {
        // Stopped meanwhile: nobody listens any more, so nothing may go on recording.
        stream.getTracks().forEach((track) => track.stop());
        throw new MicrophoneError("stopped");
      }
      this.#connect(context, stream);
    } catch (error) {
      if (this.context === context) this.close();
      throw error instanceof MicrophoneError ? error : new MicrophoneError("audio_failed", error);
    }
  }

  /** @returns {Promise<MediaStream>} */
  async #askMicrophone() {
    try {
      // Noise suppression distorts what a model hears; echo cancellation would take one's own voice out of what
      // comes back, and is not needed where nothing reaches the microphone.
      const audio = { echoCancellation: !this.headphones, noiseSuppression: false, autoGainControl: true, channelCount: 1 };
      const stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.#keep(stream);
      return stream;
    } catch (error) {
      throw new MicrophoneError(microphoneProblem(error), error);
    }
  }

  /** @param {MediaStream} stream */
  #keep(stream) {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = stream;
    const [track] = stream.getAudioTracks();
    track.onended = () => {
      if (this.stream === stream) this.listener.lost();
    };
  }

  /** @param {AudioContext} context @param {MediaStream} stream */
  #connect(context, stream) {
    this.heard = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.spoken = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.gain = new GainNode(context, { gain: this.volume });
    this.capture = new AudioWorkletNode(context, "voice-capture", { numberOfInputs: 1, numberOfOutputs: 1 });
    this.playback = new AudioWorkletNode(context, "voice-playback", { numberOfInputs: 0, numberOfOutputs: 1 });
    this.capture.port.onmessage = ({ data }) => this.listener.frame(data);
    this.playback.port.onmessage = ({ data }) => {
      if (data.type === "tap") this.onTap?.(data.samples);
      else if (data.type === "began") this.listener.began();
      else this.listener.report(data);
    };
    this.source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.source.connect(this.heard).connect(this.capture);
    // A node that leads nowhere is not run by every browser; capture writes no sound into its output.
    this.capture.connect(context.destination);
    this.playback.connect(this.spoken).connect(this.gain).connect(context.destination);
    context.onstatechange = () => {
      // Phones interrupt the context for a call.
      if (this.context === context && context.state !== "running" && context.state !== "closed") void context.resume();
    };
  }

  /**
   * Headphones or loudspeaker: echo cancellation is a property of the opened microphone, so it is opened anew.
   * @param {boolean} on
   */
  async setHeadphones(on) {
    this.headphones = on;
    if (this.source === null || this.context === null || this.heard === null) return;
    const stream = await this.#askMicrophone();
    if (this.context === null) return stream.getTracks().forEach((track) => track.stop());
    this.source.disconnect();
    this.source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    this.source.connect(this.heard);
  }

  /** @param {number} volume 0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    if (this.gain && this.context) this.gain.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  /** @param {Float32Array<ArrayBuffer>} samples @param {number} generation @param {number} timestampMs */
  play(samples, generation, timestampMs) {
    this.playback?.port.postMessage({ type: "audio", samples, generation, timestampMs }, [samples.buffer]);
  }

  /** @param {"clear" | "restart"} type @param {number} generation */
  discard(type, generation) {
    this.playback?.port.postMessage({ type, generation });
  }

  /** What goes into and out of this machine besides the buffer, as far as the browser tells, ms. */
  get deviceMs() {
    if (this.context === null) return 0;
    const track = this.stream?.getAudioTracks()[0];
    const settings = /** @type {MediaTrackSettings & {latency?: number}} */ (track?.getSettings() ?? {});
    return 1000 * ((settings.latency ?? 0) + (this.context.baseLatency || 0) + (this.context.outputLatency || 0));
  }

  /** From the playback worklet to the air, as far as the browser tells, ms. */
  get outputMs() {
    return this.context === null ? 0 : 1000 * ((this.context.baseLatency || 0) + (this.context.outputLatency || 0));
  }

  /** Give the microphone and the loudspeaker back. */
  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.capture?.port.postMessage("stop");
    this.playback?.port.postMessage({ type: "stop" });
    void this.context?.close();
    this.context = null;
    this.source = this.capture = this.playback = this.gain = this.heard = this.spoken = null;
  }
}
