// @ts-check
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  CLOSE,
  HEADER_BYTES,
  KIND,
  PROTOCOL,
  ProtocolFault,
  packAudio,
  packMessage,
  parseAudio,
  parseServerMessage,
  pcm16ToFloat,
} from "../static/voice/protocol.js";

/** The table that apps/voice/protocol.py is tested against as well. */
const table = JSON.parse(readFileSync(new URL("../../tests/contract/wire_vectors.json", import.meta.url), "utf8"));

/** @param {string} hex @returns {ArrayBuffer} */
function bytes(hex) {
  const buffer = Buffer.from(hex, "hex");
  return new Uint8Array(buffer).buffer;
}

/** @param {ArrayBuffer | Uint8Array} data */
const hex = (data) => Buffer.from(/** @type {ArrayBuffer} */ (data)).toString("hex");

/** @param {string} code */
const fault = (code) => (/** @type {unknown} */ error) => error instanceof ProtocolFault && error.code === code;

test("version, header and close codes are those of the table", () => {
  assert.equal(PROTOCOL, table.protocol);
  assert.equal(HEADER_BYTES, table.header_bytes);
  const { normal, ...codes } = CLOSE;
  assert.equal(normal, 1000);
  assert.deepEqual(codes, Object.fromEntries(table.errors.map((/** @type {any} */ e) => [e.code, e.close_code])));
});

for (const vector of table.frames) {
  test(`frame, both ways: ${vector.name}`, () => {
    const frame = parseAudio(bytes(vector.frame_hex), vector.direction);
    assert.deepEqual(
      [frame.kind, frame.seq, frame.timestampMs, frame.generation, hex(frame.payload)],
      [vector.kind, vector.seq, vector.timestamp_ms, vector.generation, vector.payload_hex],
    );
    assert.equal(hex(packAudio(frame)), vector.frame_hex);
  });
}

for (const vector of table.invalid_frames) {
  test(`invalid frame: ${vector.name}`, () => {
    assert.throws(() => parseAudio(bytes(vector.invalid_hex), vector.direction), fault(vector.error));
  });
}

for (const vector of table.messages.filter((/** @type {any} */ v) => v.direction === "down")) {
  test(`server message: ${vector.name}`, () => {
    if (vector.valid) assert.deepEqual(parseServerMessage(vector.json), JSON.parse(vector.json));
    else assert.throws(() => parseServerMessage(vector.json), fault(vector.error));
  });
}

test("client messages pack to what the table calls valid", () => {
  const valid = table.messages.filter((/** @type {any} */ v) => v.direction === "up" && v.valid);
  for (const { json } of valid) assert.deepEqual(JSON.parse(packMessage(JSON.parse(json))), JSON.parse(json));
});

test("text that is no message is a fault, not an exception of another kind", () => {
  for (const json of ["", "{", "null", "[]", '"x"', '{"type":"constructor"}', '{"type":5}']) {
    assert.throws(() => parseServerMessage(json), ProtocolFault);
  }
});

test("samples survive an odd address and keep sign and scale", () => {
  const payload = new Uint8Array([9, 0xff, 0x7f, 0x00, 0x80, 0x01, 0x00]).subarray(1);
  assert.deepEqual([...pcm16ToFloat(payload)], [32767 / 32768, -1, 1 / 32768].map(Math.fround));
});

test("packing refuses a payload that no peer accepts", () => {
  const frame = { kind: KIND.AUDIO_UP, seq: 0, timestampMs: 0, generation: 0, payload: new Uint8Array(638) };
  assert.throws(() => packAudio(frame), fault("frame_size"));
  assert.throws(() => packAudio({ ...frame, kind: KIND.OPUS_UP, payload: new Uint8Array(1276) }), fault("frame_size"));
});
