// @ts-check
/**
 * Opus by WebCodecs: 20 ms of the microphone to a packet, and packets of an answer to sound. Where a browser lacks one
 * of the two, or does otherwise than it says, audio travels as PCM16. Packets are those of RFC 6716, without a container.
 */

import { FRAME_MS, FRAME_SAMPLES, OPUS_MAX_BYTES, SAMPLE_RATE } from "./protocol.js";
import { Resampler } from "./resampler.js";

const VOICE = { codec: "opus", sampleRate: SAMPLE_RATE, numberOfChannels: 1 };
/** @type {AudioEncoderConfig} */
const ENCODING = { ...VOICE, bitrate: 32_000, opus: { frameDuration: FRAME_MS * 1000 } };
/** Half a second in front of the encoder: it does not keep up, what is said now would arrive as history. */
const MAX_WAITING = 25;
const FRAME_MS_OF_CONFIG = [10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 10, 20];
const FRAME_MS_OF_CELT = [2.5, 5, 10, 20];

/**
 * How long a packet lasts, by its first bytes (RFC 6716, 3.1 and 3.2); 0 when it is none.
 * @param {Uint8Array} packet
 */
export function packetMs(packet) {
  if (packet.length < 1 || packet.length > OPUS_MAX_BYTES) return 0;
  const config = packet[0] >> 3;
  const code = packet[0] & 3;
  const frames = [1, 2, 2, packet.length > 1 ? packet[1] & 63 : 0][code];
  return frames * (FRAME_MS_OF_CONFIG[config] ?? FRAME_MS_OF_CELT[config & 3]);
}

/**
 * Whether this browser encodes and decodes Opus as it travels here.
 * @param {{AudioEncoder?: any, AudioDecoder?: any}} [scope]
 * @returns {Promise<boolean>}
 */
export async function speaksOpus({ AudioEncoder, AudioDecoder } = globalThis) {
  if (!AudioEncoder || !AudioDecoder) return false;
  try {
    const both = [AudioEncoder.isConfigSupported(ENCODING), AudioDecoder.isConfigSupported(VOICE)];
    return (await Promise.all(both)).every(({ supported }) => supported === true);
  } catch {
    return false; // a browser that knows the interface, not the codec
  }
}

/** The microphone's frames to packets, one for one and in order. */
export class OpusMouth {
  /**
   * @param {(packet: Uint8Array, capturedAt: number) => void} packet
   * @param {(reason: unknown) => void} failed nothing more will come
   */
  constructor(packet, failed) {
    /** When the frames that are being encoded were captured. @type {number[]} */
    this.captured = [];
    this.fed = 0;
    this.encoder = new AudioEncoder({
      output: (chunk) => {
        const bytes = new Uint8Array(chunk.byteLength);
        chunk.copyTo(bytes);
        if (packetMs(bytes) === FRAME_MS) packet(bytes, this.captured.shift() ?? performance.now());
        else failed(new Error(`a packet of ${packetMs(bytes)} ms`));
      },
      error: failed,
    });
    this.encoder.configure(ENCODING);
  }

  /**
   * @param {ArrayBuffer} pcm 640 bytes of PCM16LE
   * @param {number} capturedAt given back with its packet
   * @returns {boolean} false: the encoder has too much to do, the frame was dropped
   */
  encode(pcm, capturedAt) {
    if (this.encoder.state !== "configured" || this.encoder.encodeQueueSize >= MAX_WAITING) return false;
    const timestamp = this.fed * FRAME_MS * 1000;
    const frame = { sampleRate: SAMPLE_RATE, numberOfFrames: FRAME_SAMPLES, numberOfChannels: 1, timestamp, data: pcm };
    const data = new AudioData({ ...frame, format: "s16" });
    this.fed += 1;
    this.captured.push(capturedAt);
    this.encoder.encode(data);
    data.close();
    return true;
  }

  close() {
    if (this.encoder.state !== "closed") this.encoder.close();
  }
}

/**
 * Where decoded sound belongs: packets of a generation follow each other without a gap, so it is counted. The end of a
 * block is exact, and the few samples that the resampler holds back are missing at its beginning.
 */
export class Place {
  /** @param {number} firstMs media time of the first packet @param {number} rate of what is decoded */
  constructor(firstMs, rate) {
    this.firstMs = firstMs;
    this.rate = rate;
    this.decoded = 0;
    this.resampler = new Resampler(rate, SAMPLE_RATE);
  }

  /**
   * @param {Float32Array} block decoded
   * @returns {{samples: Float32Array<ArrayBuffer>, timestampMs: number}} 16 kHz, and the media time of its first sample
   */
  take(block) {
    this.decoded += block.length;
    const samples = new Float32Array(this.resampler.process(block));
    const endMs = this.firstMs + (1000 * this.decoded) / this.rate;
    return { samples, timestampMs: Math.max(0, endMs - (1000 * samples.length) / SAMPLE_RATE) };
  }
}

/** Packets of answers to sound; each generation is a stream of its own. */
export class OpusEar {
  /**
   * @param {(samples: Float32Array<ArrayBuffer>, generation: number, timestampMs: number) => void} sound 16 kHz
   * @param {(reason: unknown) => void} failed nothing more will come
   */
  constructor(sound, failed) {
    this.sound = sound;
    this.failed = failed;
    this.generation = -1;
    /** @type {AudioDecoder | null} */
    this.decoder = null;
    this.firstMs = 0;
    this.fed = 0;
  }

  /** Get ready before the first packet comes. @param {number} generation */
  begin(generation) {
    if (generation === this.generation) return;
    this.close();
    this.generation = generation;
    this.fed = 0;
    /** @type {Place | null} */
    let place = null;
    const decoder = new AudioDecoder({
      output: (data) => {
        const block = new Float32Array(data.numberOfFrames);
        data.copyTo(block, { planeIndex: 0, format: "f32-planar" });
        place ??= new Place(this.firstMs, data.sampleRate);
        data.close();
        if (decoder !== this.decoder) return; // of a generation that is over
        const { samples, timestampMs } = place.take(block);
        this.sound(samples, generation, timestampMs);
      },
      error: (reason) => {
        if (decoder === this.decoder) this.failed(reason);
      },
    });
    decoder.configure(VOICE);
    this.decoder = decoder;
  }

  /** @param {Uint8Array} packet @param {number} generation @param {number} timestampMs */
  decode(packet, generation, timestampMs) {
    if (generation < this.generation) return;
    this.begin(generation);
    if (this.fed === 0) this.firstMs = timestampMs;
    this.fed += 1;
    const data = new Uint8Array(packet); // the frame's own buffer begins with the header
    this.decoder?.decode(new EncodedAudioChunk({ type: "key", timestamp: timestampMs * 1000, duration: FRAME_MS * 1000, data }));
  }

  close() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
  }
}
