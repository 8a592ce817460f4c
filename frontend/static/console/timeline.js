/**
 * Both sides of a conversation on one time axis: blocks with waveforms, a playhead, and playing them together.
 */
(() => {
  /** @typedef {{turn: string, index: number, side: "heard" | "answer", start: number, ms: number,
   *   interrupted: number | null, audio: string, peaks: string}} Stretch */
  const GAP_S = 1;
  const AHEAD_S = 0.3;

  /** @param {HTMLElement} root @param {Stretch[]} stretches */
  function wire(root, stretches) {
    /** @param {string} name */
    const find = (name) => /** @type {HTMLElement} */ (root.querySelector(name));
    const scroll = find(".timeline-scroll");
    const lanes = find(".timeline-lanes");
    const headLine = find(".timeline-head-line");
    const ticks = find(".timeline-ticks");
    const clock = find("[data-clock]");
    const button = find("[data-play]");
    const zoom = /** @type {HTMLInputElement} */ (find("[data-zoom]"));
    const skip = /** @type {HTMLInputElement} */ (find("[data-skip]"));
    const words = { play: button.textContent ?? "", pause: button.dataset.wordsPause ?? "" };
    const end = Math.max(...stretches.map((one) => one.start + one.ms)) / 1000 + 0.5;
    const first = Math.max(0, Math.min(...stretches.map((one) => one.start)) / 1000 - 0.2);
    zoom.value = String(Math.max(1, end / 45)); // about 45 s at first
    let at = first;
    let playing = false;
    let last = 0;

    const blocks = stretches.map((one) => {
      const block = document.createElement("div");
      block.className = `stretch${one.interrupted === null ? "" : " is-cut"}`;
      block.title = `#${one.index}`;
      block.innerHTML = '<svg preserveAspectRatio="none" aria-hidden="true"><path/></svg>';
      find(`.lane-${one.side}`).append(block);
      const audio = new Audio();
      audio.preload = "none";
      fetch(`${one.peaks}?count=200`, { credentials: "same-origin" })
        .then((answer) => answer.json())
        .then(({ peaks }) => {
          const svg = /** @type {SVGElement} */ (block.querySelector("svg"));
          svg.setAttribute("viewBox", `0 0 ${Math.max(1, peaks.length)} 40`);
          svg.querySelector("path")?.setAttribute("d", peaks.map((/** @type {number} */ peak, /** @type {number} */ x) =>
            `M${x + 0.5} ${20 - Math.max(0.6, 19 * peak)}v${Math.max(1.2, 38 * peak)}`).join(""));
        })
        .catch(() => block.classList.add("is-missing"));
      return { from: one.start / 1000, to: (one.start + one.ms) / 1000, url: one.audio, block, audio, started: false };
    });

    const pixels = () => Math.max(1, (scroll.clientWidth / end) * Number(zoom.value));
    function layOut() {
      const scale = pixels();
      lanes.style.width = `${end * scale}px`;
      for (const one of blocks) {
        one.block.style.left = `${one.from * scale}px`;
        one.block.style.width = `${Math.max(2, (one.to - one.from) * scale)}px`;
      }
      const step = [1, 2, 5, 10, 30, 60, 300, 600].find((seconds) => seconds * scale > 60) ?? 1800;
      ticks.replaceChildren(...Array.from({ length: Math.floor(end / step) + 1 }, (_, n) => {
        const tick = document.createElement("span");
        tick.style.left = `${n * step * scale}px`;
        tick.textContent = stamp(n * step).replace(/\.0$/, "");
        return tick;
      }));
      show();
    }
    function show() {
      const x = at * pixels();
      headLine.style.transform = `translateX(${x}px)`;
      clock.textContent = stamp(at);
      scroll.setAttribute("aria-valuemax", end.toFixed(1));
      scroll.setAttribute("aria-valuenow", at.toFixed(1));
      if (playing && (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth * 0.9)) {
        scroll.scrollLeft = x - scroll.clientWidth * 0.1;
      }
    }
    function hush() {
      for (const one of blocks) {
        one.audio.pause();
        one.started = false;
      }
    }
    /** @param {number} seconds */
    function seek(seconds) {
      hush();
      at = Math.min(end, Math.max(0, seconds));
      show();
    }
    /** @param {number} now */
    function tick(now) {
      if (!playing) return;
      at += (now - last) / 1000;
      last = now;
      const sounding = blocks.some((one) => one.from <= at && at < one.to);
      const next = Math.min(...blocks.filter((one) => one.from > at).map((one) => one.from), end);
      if (skip.checked && !sounding && next - at > GAP_S && next < end) at = next - AHEAD_S;
      for (const one of blocks) {
        if (!one.started && one.from <= at && at < one.to) {
          one.started = true;
          one.audio.src = one.url;
          one.audio.currentTime = at - one.from;
          one.audio.play().catch(() => one.block.classList.add("is-missing"));
        }
        one.block.classList.toggle("is-sounding", one.from <= at && at < one.to);
      }
      show();
      if (at >= end) { toggle(false); at = first; show(); return; }
      requestAnimationFrame(tick);
    }
    /** @param {boolean} wish */
    function toggle(wish) {
      playing = wish;
      button.textContent = wish ? words.pause : words.play;
      if (!wish) { hush(); return; }
      last = performance.now();
      requestAnimationFrame(tick);
    }

    button.addEventListener("click", () => toggle(!playing));
    lanes.addEventListener("pointerdown", (event) => seek((event.clientX - lanes.getBoundingClientRect().left) / pixels()));
    scroll.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) { event.preventDefault(); seek(at + step); }
      if (event.key === " ") { event.preventDefault(); toggle(!playing); }
    });
    zoom.addEventListener("input", layOut);
    new ResizeObserver(layOut).observe(scroll);
    layOut();
  }

  /** @param {number} seconds */
  function stamp(seconds) {
    return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.querySelector("[data-timeline]");
    const data = document.getElementById("timeline-data");
    if (root && data) wire(/** @type {HTMLElement} */ (root), JSON.parse(data.textContent ?? "[]"));
  });
})();
