// @ts-check
/** How she sounds and takes turns: sliders and choices of mode `talk`, each told as soon as it is let go. */

/** @typedef {import("./types.js").SessionConfig} SessionConfig */
/** @typedef {import("./types.js").Dials} DialValues */

/** @type {Record<string, (value: number) => string>} */
const SHOWN = {
  pitch_semitones: (value) => `${value > 0 ? "+" : ""}${value}`,
  energy_db: (value) => `${value > 0 ? "+" : ""}${value} dB`,
  rate: (value) => `× ${value.toFixed(2)}`,
  accent: (value) => `${Math.round(value * 100)} %`,
  intensity: (value) => `${Math.round(value * 100)} %`,
  mix_share: (value) => `${Math.round(100 - value * 100)} : ${Math.round(value * 100)}`,
};
const CHOICES = ["turn_taking", "keep_audio", "mix"];

export class DialBoard {
  /**
   * @param {HTMLElement} root
   * @param {(change: Partial<SessionConfig>) => void} change
   */
  constructor(root, change) {
    /** @type {Map<string, HTMLInputElement>} */
    this.sliders = new Map();
    /** @type {Map<string, HTMLSelectElement>} */
    this.choices = new Map();
    for (const slider of root.querySelectorAll("input[data-dial]")) {
      if (slider instanceof HTMLInputElement) this.#slider(slider, change);
    }
    for (const name of CHOICES) {
      const select = root.querySelector(`select[name="${name}"]`);
      if (!(select instanceof HTMLSelectElement)) continue;
      this.choices.set(name, select);
      select.addEventListener("change", () => {
        change({ [name]: select.value });
        this.#mixed();
      });
    }
    const reset = root.querySelector("button[data-dials-reset]");
    reset?.addEventListener("click", () => {
      this.show({ pitch_semitones: 0, energy_db: 0, rate: 1 });
      change({ pitch_semitones: 0, energy_db: 0, rate: 1 });
    });
  }

  /** The share has a meaning only where somebody is mixed in. */
  #mixed() {
    const share = this.sliders.get("mix_share")?.closest("label");
    if (share) share.hidden = this.choices.get("mix")?.value === "";
  }

  /** @param {HTMLInputElement} slider @param {(change: Partial<SessionConfig>) => void} change */
  #slider(slider, change) {
    this.sliders.set(slider.name, slider);
    this.#paint(slider);
    slider.addEventListener("input", () => this.#paint(slider));
    slider.addEventListener("change", () => change({ [slider.name]: Number(slider.value) }));
  }

  /** @param {HTMLInputElement} slider */
  #paint(slider) {
    const [low, high, value] = [Number(slider.min), Number(slider.max), Number(slider.value)];
    const words = SHOWN[slider.name]?.(value) ?? String(value);
    slider.style.setProperty("--at", String((value - low) / (high - low)));
    slider.setAttribute("aria-valuetext", words);
    const place = slider.closest("label")?.querySelector("output");
    if (place) place.textContent = words;
  }

  /** What is in force; a dial that follows voice and emotion (null) stays where it is. @param {Partial<DialValues> & {turn_taking?: string}} config */
  show(config) {
    for (const [name, slider] of this.sliders) {
      const value = config[/** @type {keyof DialValues} */ (name)];
      if (typeof value !== "number") continue;
      slider.value = String(value);
      this.#paint(slider);
    }
    for (const [name, select] of this.choices) {
      const value = config[/** @type {"turn_taking" | "keep_audio" | "mix"} */ (name)];
      if (typeof value === "string" || value === null) select.value = value ?? "";
    }
    this.#mixed();
  }
}

/**
 * A key to hold while speaking (push-to-talk): a button, by pointer or by keyboard, and the space bar.
 * @param {HTMLButtonElement} button
 * @param {() => boolean} wanted whether the button is such a key now
 * @param {(event: "press" | "release") => void} tell
 */
export function holdToTalk(button, wanted, tell) {
  let held = false;
  const set = (/** @type {boolean} */ on) => {
    if (on === held || (on && !wanted())) return;
    held = on;
    button.dataset.held = String(on);
    tell(on ? "press" : "release");
  };
  button.addEventListener("pointerdown", (event) => {
    if (!wanted()) return;
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  for (const name of ["pointerup", "pointercancel", "blur"]) button.addEventListener(name, () => set(false));
  document.addEventListener("keydown", (event) => {
    const here = event.target === button || event.target === document.body;
    if (!here || !wanted() || (event.code !== "Space" && !(event.code === "Enter" && event.target === button))) return;
    event.preventDefault();
    set(true);
  });
  document.addEventListener("keyup", () => set(false));
}
