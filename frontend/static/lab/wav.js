// @ts-check
/** WAV files of one kind: 16-bit PCM, mono. */

export const RATE = 16_000;

/** @param {Int16Array} pcm @param {number} [rate] @returns {Blob} */
export function wavFile(pcm, rate = RATE) {
  const head = new DataView(new ArrayBuffer(44));
  const word = (/** @type {number} */ at, /** @type {string} */ text) => {
    for (let i = 0; i < 4; i++) head.setUint8(at + i, text.charCodeAt(i));
  };
  word(0, "RIFF");
  head.setUint32(4, 36 + 2 * pcm.length, true);
  word(8, "WAVE");
  word(12, "fmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  word(36, "data");
  head.setUint32(40, 2 * pcm.length, true);
  const body = new DataView(new ArrayBuffer(2 * pcm.length));
  pcm.forEach((sample, i) => body.setInt16(2 * i, sample, true));
  return new Blob([head, body], { type: "audio/wav" });
}

/**
 * The samples of a file that {@link wavFile} or the server made.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Float32Array<ArrayBuffer>} in [-1, 1)
 */
export function wavSamples(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (view.getUint32(at, false) === 0x64617461) {
      const count = Math.min(size, view.byteLength - at - 8) >> 1;
      return Float32Array.from({ length: count }, (_, i) => view.getInt16(at + 8 + 2 * i, true) / 32_768);
    }
    at += 8 + size + (size & 1);
  }
  throw new Error("no samples in this WAV file");
}

/** @param {string} base64 @returns {Uint8Array<ArrayBuffer>} */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
