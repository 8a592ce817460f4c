// @ts-check
/** The pickers beside the button: speaker, emotion, quantizers, headphones, volume. What was chosen is remembered. */

/** @typedef {import("./types.js").SessionConfig} SessionConfig */

/** @typedef {Partial<SessionConfig>} Change */
/** @typedef {import("./types.js").TurnStored} TurnStored */
/** @typedef {import("./types.js").Mode} Mode */

/**
 * @typedef {object} ControlsListener
 * @property {(change: Change) => void} change
 * @property {(on: boolean) => void} headphones
 * @property {(volume: number) => void} volume
 */

const KBPS_PER_QUANTIZER = 2; // 200 frames/s x 10 bits (docs/architecture.md)
/** Whoever hears the loudspeaker hears it through the microphone as well: quieter there, so that nothing howls. */
const VOLUME = { headphones: 80, loudspeaker: 35 };
const MEMORY = "voice-choices";

export class Controls {
  /** @param {HTMLElement} root @param {ControlsListener} listener */
  constructor(root, listener) {
    this.root = root;
    this.listener = listener;
    this.quantizers = this.#input("quantizers");
    this.headphones = this.#input("headphones");
    this.volume = this.#input("volume");
    this.restore();
    root.addEventListener("change", (event) => this.#changed(/** @type {HTMLInputElement} */ (event.target)));
    root.addEventListener("input", (event) => {
      if (event.target === this.volume) this.#volume();
      if (event.target === this.quantizers) this.#showQuantizers();
    });
    this.#showQuantizers();
    this.#volume();
  }

  /** @param {string} name @returns {HTMLInputElement} */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.root.querySelector(`input[name="${name}"]`));
  }

  /** @param {string} name @returns {string | null} */
  #chosen(name) {
    const input = this.root.querySelector(`input[name="${name}"]:checked`);
    return input instanceof HTMLInputElement ? input.value : null;
  }

  /** @returns {Change} */
  get wanted() {
    const mode = /** @type {Mode | null} */ (this.#chosen("mode"));
    return {
      ...(mode && { mode }), 
      speaker: this.#chosen("speaker"),
      emotion: this.#chosen("emotion"),
      quantizers: Number(this.quantizers.value),
    };
  }

  /** What is in force, as far as the server tells it anew (another tab, an operator). @param {Change} told */
  show(told) {
    if (told.mode !== undefined) this.#choose("mode", told.mode);
    if (told.speaker !== undefined) this.#choose("speaker", told.speaker);
    if (told.emotion !== undefined) this.#choose("emotion", told.emotion);
    if (told.quantizers !== undefined) this.quantizers.value = String(told.quantizers);
    this.#showQuantizers();
  }

  /** Who speaks and how, in the page's words: as a turn was spoken, or as it is chosen. @param {TurnStored} [turn] */
  describe(turn) {
    const names = /** @type {const} */ (["speaker", "emotion"]).map((name) => {
      const chosen = turn?.[name] ? `[value="${CSS.escape(turn[name] ?? "")}"]` : ":checked";
      const input = this.root.querySelector(`input[name="${name}"]${chosen}`);
      return input instanceof HTMLInputElement ? (input.dataset.label ?? "") : "";
    });
    return names.filter(Boolean).join(" · ");
  }

  /** @param {string} name @param {string | null} value */
  #choose(name, value) {
    for (const input of this.root.querySelectorAll(`input[name="${name}"]`)) {
      if (input instanceof HTMLInputElement && input.value === value) input.checked = true;
    }
  }

  /** @param {HTMLInputElement} input */
  #changed(input) {
    switch (input.name) {
      case "mode":
        this.listener.change({ mode: /** @type {Mode} */ (input.value) });
        this.root.dataset.mode = input.value;
        break;
      case "speaker":
      case "emotion":
        this.listener.change({ [input.name]: input.value });
        break;
      case "quantizers":
        this.listener.change({ quantizers: Number(input.value) });
        break;
      case "headphones":
        this.volume.value = String(input.checked ? VOLUME.headphones : VOLUME.loudspeaker);
        this.#volume();
        this.listener.headphones(input.checked);
    }
    this.remember();
  }

  #showQuantizers() {
    const count = Number(this.quantizers.value);
    const kbps = count * KBPS_PER_QUANTIZER;
    this.quantizers.style.setProperty("--at", String((count - 1) / 7));
    this.quantizers.setAttribute("aria-valuetext", `${count}, ${kbps} kbps`);
    for (const [name, value] of Object.entries({ count, kbps })) {
      const place = this.root.querySelector(`[data-quantizers="${name}"]`);
      if (place) place.textContent = String(value);
    }
  }

  #volume() {
    this.volume.style.setProperty("--at", String(Number(this.volume.value) / 100));
    // Squared: even steps of the slider are about even steps of loudness.
    this.listener.volume((Number(this.volume.value) / 100) ** 2);
  }

  remember() {
    const choices = { ...this.wanted, headphones: this.headphones.checked, volume: this.volume.value };
    try {
      localStorage.setItem(MEMORY, JSON.stringify(choices));
    } catch {
      // Private windows may have no storage: then nothing is remembered.
    }
  }

  restore() {
    try {
      const choices = JSON.parse(localStorage.getItem(MEMORY) ?? "{}");
      this.#choose("speaker", choices.speaker);
      this.#choose("emotion", choices.emotion);
      if (choices.quantizers >= 1 && choices.quantizers <= 8) this.quantizers.value = String(choices.quantizers);
      this.headphones.checked = choices.headphones === true;
      this.volume.value = choices.volume ?? String(VOLUME.loudspeaker);
    } catch {
      // What cannot be read is as good as nothing remembered.
    }
  }
}
