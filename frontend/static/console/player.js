/**
 * `.player`: an <audio> that shows its waveform (peaks from the server, fetched once it is on screen) and seeks in it.
 * Without script the plain controls stay.
 */
(() => {
  /** @param {SVGElement} svg @param {number[]} peaks */
  function draw(svg, peaks) {
    const width = peaks.length * 3;
    svg.setAttribute("viewBox", `0 0 ${Math.max(3, width)} 40`);
    const top = Math.max(0.05, ...peaks);
    const bars = peaks.map((peak, at) => {
      const height = Math.max(1.2, (36 * peak) / top);
      return `M${at * 3 + 1.5} ${(20 - height / 2).toFixed(1)}v${height.toFixed(1)}`;
    });
    svg.querySelectorAll("path").forEach((path) => path.setAttribute("d", bars.join("")));
  }

  /** @param {HTMLElement} box */
  function wire(box) {
    const audio = /** @type {HTMLAudioElement} */ (box.querySelector("audio"));
    const button = document.createElement("button");
    const name = box.dataset.label ?? "";
    button.type = "button";
    button.className = "player-button material-symbols-outlined";
    button.setAttribute("aria-label", name);
    button.textContent = "play_arrow";
    const wave = document.createElement("span");
    wave.className = "player-wave";
    wave.tabIndex = 0;
    wave.setAttribute("role", "slider");
    wave.setAttribute("aria-label", name);
    wave.setAttribute("aria-valuemin", "0");
    wave.innerHTML = '<svg preserveAspectRatio="none" aria-hidden="true"><path class="wave-rest"/></svg>'
      + '<svg preserveAspectRatio="none" aria-hidden="true" class="wave-over"><path class="wave-done"/></svg>';
    const rest = /** @type {SVGElement} */ (wave.firstElementChild);
    const over = /** @type {SVGElement} */ (wave.lastElementChild);
    const time = document.createElement("span");
    time.className = "player-time";
    const total = Number(box.dataset.ms ?? 0) / 1000;
    const length = () => (Number.isFinite(audio.duration) && audio.duration) || total || 1;

    const show = () => {
      const share = Math.min(1, audio.currentTime / length());
      over.style.clipPath = `inset(0 ${(100 * (1 - share)).toFixed(2)}% 0 0)`;
      time.textContent = `${(audio.currentTime || length()).toFixed(1)} s`;
      wave.setAttribute("aria-valuemax", length().toFixed(1));
      wave.setAttribute("aria-valuenow", audio.currentTime.toFixed(1));
    };
    /** @param {number} seconds */
    const seek = (seconds) => {
      const to = Math.min(length(), Math.max(0, seconds));
      if (audio.readyState >= 1) { audio.currentTime = to; show(); return; }
      audio.addEventListener("loadedmetadata", () => { audio.currentTime = to; show(); }, { once: true });
      audio.preload = "auto";
      audio.load();
    };
    button.addEventListener("click", () => (audio.paused ? audio.play().catch(() => undefined) : audio.pause()));
    wave.addEventListener("pointerdown", (event) => {
      const place = wave.getBoundingClientRect();
      seek((length() * (event.clientX - place.left)) / place.width);
    });
    wave.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
      if (step) { event.preventDefault(); seek(audio.currentTime + step); }
    });
    audio.addEventListener("play", () => {
      document.querySelectorAll(".player audio").forEach((other) => other !== audio && /** @type {HTMLAudioElement} */ (other).pause());
      button.textContent = "pause";
    });
    audio.addEventListener("pause", () => { button.textContent = "play_arrow"; });
    audio.addEventListener("ended", () => { audio.currentTime = 0; show(); });
    audio.addEventListener("timeupdate", show);
    audio.addEventListener("error", () => box.classList.add("is-missing"));

    audio.controls = false;
    box.classList.add("is-wired");
    box.append(button, wave, time);
    show();
    return async () => {
      try {
        const answer = await fetch(`${box.dataset.peaks}?count=80`, { credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const { peaks } = await answer.json();
        draw(rest, peaks);
        draw(over, peaks);
      } catch {
        box.classList.add("is-missing");
      }
    };
  }

  document.addEventListener("DOMContentLoaded", () => {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        waiting.get(entry.target)?.();
      }
    }, { rootMargin: "200px" });
    /** @type {Map<Element, () => Promise<void>>} */
    const waiting = new Map();
    document.querySelectorAll(".player").forEach((box) => {
      waiting.set(box, wire(/** @type {HTMLElement} */ (box)));
      seen.observe(box);
    });
  });
})();
