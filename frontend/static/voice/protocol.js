// @ts-check
/**
 * Native wire protocol v1, the browser's side: binary audio frames and JSON messages. Pure. The words are in
 * docs/protocol.md; tests/contract/wire_vectors.json holds the bytes that this module and apps/voice/protocol.py are
 * both tested against.
 */

/** @typedef {import("./types.js").ServerMessage} ServerMessage */
/** @typedef {import("./types.js").ClientMessage} ClientMessage */

export const PROTOCOL = 1;
export const SAMPLE_RATE = 16_000;
export const FRAME_SAMPLES = 320;
export const FRAME_MS = 20;
export const HEADER_BYTES = 13;
export const MAX_BINARY_BYTES = 8192;

export const KIND = Object.freeze({ AUDIO_UP: 0x01, AUDIO_DOWN: 0x02, OPUS_UP: 0x03, OPUS_DOWN: 0x04 });

/** The largest packet of RFC 6716; 20 ms of speech take about 80 bytes. */
export const OPUS_MAX_BYTES = 1275;
const UP_PAYLOAD_BYTES = FRAME_SAMPLES * 2;
const DOWN_MIN = 160;
const DOWN_MAX = 6400;
const DOWN_STEP = 160;

/** @type {Record<"up" | "down", number[]>} */
const KINDS = { up: [KIND.AUDIO_UP, KIND.OPUS_UP], down: [KIND.AUDIO_DOWN, KIND.OPUS_DOWN] };

/** Close codes by what happened; the server's `error` events carry the same names in `code`. */
export const CLOSE = Object.freeze({
  normal: 1000,
  hello_timeout: 4001,
  bad_json: 4002,
  bad_message: 4003,
  bad_frame: 4004,
  frame_size: 4005,
  out_of_order: 4006,
  too_slow: 4008,
  oversize: 4009,
  resume_expired: 4010,
  inference_lost: 4011,
  going_away: 4012,
  busy: 4013,
  ended_by_operator: 4014,
  hello_first: 4400,
  login_required: 4401,
});

/** A peer broke the protocol; `code` is one of the names in {@link CLOSE}. */
export class ProtocolFault extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "ProtocolFault";
    this.code = code;
  }
}

/**
 * One binary frame; `payload` is PCM16LE at 16 kHz or an Opus packet, `timestampMs` media time.
 * @typedef {{kind: number, seq: number, timestampMs: number, generation: number, payload: Uint8Array}} AudioFrame
 */

/**
 * @param {number} size
 * @param {number} kind
 */
function checkPayload(size, kind) {
  if (kind === KIND.OPUS_UP || kind === KIND.OPUS_DOWN) {
    if (size < 1 || size > OPUS_MAX_BYTES) throw new ProtocolFault("frame_size", `Opus payload of ${size} bytes`);
  } else if (kind === KIND.AUDIO_UP) {
    if (size !== UP_PAYLOAD_BYTES) {
      throw new ProtocolFault("frame_size", `audio_up payload of ${size} bytes, must be ${UP_PAYLOAD_BYTES}`);
    }
  } else if (size < DOWN_MIN || size > DOWN_MAX || size % DOWN_STEP) {
    throw new ProtocolFault("frame_size", `audio_down payload of ${size} bytes, must be 160 to 6400 in steps of 160`);
  }
}

/**
 * @param {AudioFrame} frame
 * @returns {ArrayBuffer} header and payload, little endian
 */
export function packAudio({ kind, seq, timestampMs, generation, payload }) {
  checkPayload(payload.byteLength, kind);
  const bytes = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, seq, true);
  view.setUint32(5, timestampMs, true);
  view.setUint32(9, generation, true);
  bytes.set(payload, HEADER_BYTES);
  return bytes.buffer;
}

/**
 * Decode a binary frame of one direction.
 * @param {ArrayBuffer} buffer
 * @param {"up" | "down"} [direction] what a server sends by default
 * @returns {AudioFrame} `payload` is a view into `buffer`
 * @throws {ProtocolFault} `oversize`, `bad_frame` or `frame_size`
 */
export function parseAudio(buffer, direction = "down") {
  if (buffer.byteLength > MAX_BINARY_BYTES && direction === "up") {
    throw new ProtocolFault("oversize", `binary frame of ${buffer.byteLength} bytes`);
  }
  if (buffer.byteLength < HEADER_BYTES) {
    throw new ProtocolFault("bad_frame", `frame of ${buffer.byteLength} bytes is shorter than its header`);
  }
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  if (!KINDS[direction].includes(kind)) throw new ProtocolFault("bad_frame", `unexpected kind 0x${kind.toString(16)}`);
  checkPayload(buffer.byteLength - HEADER_BYTES, kind);
  return {
    kind,
    seq: view.getUint32(1, true),
    timestampMs: view.getUint32(5, true),
    generation: view.getUint32(9, true),
    payload: new Uint8Array(buffer, HEADER_BYTES),
  };
}

/**
 * PCM16LE bytes to samples in [-1, 1). Reads through a DataView: the payload starts at an odd address, and the wire
 * is little endian whatever the machine is.
 * @param {Uint8Array} payload
 * @returns {Float32Array<ArrayBuffer>}
 */
export function pcm16ToFloat(payload) {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const samples = new Float32Array(payload.byteLength >> 1);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
}

/** @typedef {(value: unknown) => boolean} Check */
/** @type {Check} */
const text = (v) => typeof v === "string";
/** @type {Check} */
const number = (v) => typeof v === "number" && Number.isFinite(v);
/** @type {Check} */
const integer = (v) => Number.isInteger(v);
/** @type {Check} */
const flag = (v) => typeof v === "boolean";
/** @type {Check} */
const object = (v) => typeof v === "object" && v !== null && !Array.isArray(v);
/** @type {(...words: string[]) => Check} */
const oneOf = (...words) => (v) => typeof v === "string" && words.includes(v);

/** @type {(check: Check) => Check} */
const maybe = (check) => (v) => v === null || check(v);

/** The fields each server message must have. More fields are fine: an older page may meet a newer server. */
/** @type {Record<string, Record<string, Check>>} */
const SERVER_FIELDS = {
  welcome: {
    protocol: (v) => v === PROTOCOL,
    session: text,
    resume_token: text,
    resumed: flag,
    generation: integer,
    config: object,
    limits: object,
    models: object,
  },
  config: { config: object },
  generation: { generation: integer, reason: oneOf("interrupt", "barge_in", "config", "resume") },
  speech: { event: oneOf("started", "stopped"), at_ms: number },
  endpoint: { turn: integer, start_ms: number, end_ms: number, waited_ms: number, reason: text },
  answer: {
    turn: integer,
    event: oneOf("started", "ended", "interrupted", "resumed"),
    generation: integer,
    at_ms: number,
    reason: text,
    latency: object,
  },
  turn: { id: text, index: integer, role: oneOf("user", "assistant"), duration_ms: number, audio_url: maybe(text), latency: object },
  caption: { turn: text, text, known: flag },
  stats: {
    bitrate_bps: number,
    encode_ms: number,
    decode_ms: number,
    queue_ms: number,
    server_ms: number,
    ahead_ms: number,
    lost: integer,
    dropped: integer,
    late: integer,
  },
  busy: { retry_after_s: number },
  notice: { code: text, message: text },
  error: { code: text, message: text, hint: text, fatal: flag },
  pong: { id: integer, t: number },
};

/**
 * Decode a server's text frame.
 * @param {string} json
 * @returns {ServerMessage}
 * @throws {ProtocolFault} `bad_json` or `bad_message`
 */
export function parseServerMessage(json) {
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ProtocolFault("bad_json", "not JSON");
  }
  if (!object(value)) throw new ProtocolFault("bad_message", "type: a message is a JSON object");
  const message = /** @type {Record<string, unknown>} */ (value);
  const type = typeof message.type === "string" ? message.type : "";
  if (!Object.hasOwn(SERVER_FIELDS, type)) throw new ProtocolFault("bad_message", `type: unknown ${JSON.stringify(type)}`);
  for (const [name, valid] of Object.entries(SERVER_FIELDS[type])) {
    if (!valid(message[name])) throw new ProtocolFault("bad_message", `${name}: missing or of a wrong type in ${type}`);
  }
  return /** @type {ServerMessage} */ (value);
}

/**
 * @param {ClientMessage} message
 * @returns {string} the text frame
 */
export function packMessage(message) {
  return JSON.stringify(message);
}
