// @ts-check
/** The waveform of a stored recording as bars, the part that was played in full colour. */

const BARS = 64;

/** @param {string} url of the recording @returns {Promise<number[]>} 0 to 1; empty when they cannot be had */
export async function loadPeaks(url) {
  try {
    const answer = await fetch(`${url}/peaks?count=${BARS}`);
    return answer.ok ? (await answer.json()).peaks : [];
  } catch {
    return [];
  }
}

/** @param {HTMLCanvasElement} canvas @param {number[]} peaks @param {number} played 0 to 1 */
export function drawPeaks(canvas, peaks, played) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const context = canvas.getContext("2d");
  if (!context || width === 0) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = getComputedStyle(canvas).color;
  const values = peaks.length > 0 ? peaks : new Array(BARS).fill(0);
  const loudest = Math.max(0.1, ...values);
  const step = width / values.length;
  values.forEach((peak, i) => {
    const tall = Math.max(2, (height - 2) * (peak / loudest));
    context.globalAlpha = (i + 0.5) / values.length <= played ? 1 : 0.4;
    context.fillRect(i * step, (height - tall) / 2, Math.max(1, step - 1.5), tall);
  });
}
