// @ts-check
/** For the browser test, on pages served with VOICE_PAGE_DEBUG only: record exactly what the playback worklet rendered. */

/** @typedef {import("./audio.js").AudioGraph} AudioGraph */

/** @param {AudioGraph} audio */
export function tap(audio) {
  /** @type {Float32Array[]} */
  let blocks = [];
  const tapped = (/** @type {boolean} */ on) => audio.playback?.port.postMessage({ type: "tap", on });
  return {
    startTap() {
      blocks = [];
      audio.onTap = (samples) => blocks.push(samples);
      tapped(true);
    },
    /** @returns {{rate: number, pcm: string}} the device's rate, and PCM16LE in base64 */
    stopTap() {
      tapped(false);
      audio.onTap = null;
      const bytes = new Uint8Array(2 * blocks.reduce((sum, block) => sum + block.length, 0));
      const view = new DataView(bytes.buffer);
      let at = 0;
      for (const block of blocks) {
        for (const sample of block) {
          view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(sample * 32767))), true);
          at += 2;
        }
      }
      let text = "";
      for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
      return { rate: audio.context?.sampleRate ?? 0, pcm: btoa(text) };
    },
  };
}
