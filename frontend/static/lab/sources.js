// @ts-check
/** Where recordings come from, besides the microphone: the house's own samples, and files that people bring. */

/**
 * @typedef {object} SourcesListener
 * @property {(name: string, file: Blob) => void} chosen
 * @property {() => void} failed a sample could not be loaded
 */

export class Sources {
  /** @param {HTMLElement} root @param {SourcesListener} listener */
  constructor(root, listener) {
    this.root = root;
    this.listener = listener;
    this.turn = 0;
    this.zone = /** @type {HTMLElement} */ (root.querySelector("[data-drop]"));
    const file = /** @type {HTMLInputElement} */ (root.querySelector("input[type=file]"));
    file.addEventListener("change", () => {
      this.#bring(file.files?.[0]);
      file.value = "";
    });
    root.addEventListener("change", (event) => {
      const { name } = /** @type {HTMLInputElement} */ (event.target);
      if (name === "lab-speaker" || name === "lab-emotion") void this.#sample();
    });
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.zone.dataset.over = "true";
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) delete this.zone.dataset.over;
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      delete this.zone.dataset.over;
      this.#bring(event.dataTransfer?.files[0]);
    });
  }

  /** The sample that is chosen when the page opens. */
  first() {
    void this.#sample();
  }

  /** Something else than a sample is in work. */
  none() {
    this.turn += 1;
    for (const input of this.root.querySelectorAll("input[name=lab-speaker], input[name=lab-emotion]")) {
      /** @type {HTMLInputElement} */ (input).checked = false;
    }
    this.#named("");
  }

  /** @param {File | undefined} file */
  #bring(file) {
    if (!file) return;
    this.none();
    this.#named(file.name);
    this.listener.chosen(`file ${Date.now()}`, file);
  }

  /** @param {string} name */
  #named(name) {
    const place = this.root.querySelector("[data-file-name]");
    if (place) place.textContent = name;
  }

  /** @param {string} name @returns {HTMLInputElement} chosen, or the first, which then is */
  #chosen(name) {
    const inputs = /** @type {HTMLInputElement[]} */ ([...this.root.querySelectorAll(`input[name=${name}]`)]);
    const found = inputs.find((input) => input.checked) ?? inputs[0];
    if (found) found.checked = true;
    return found;
  }

  async #sample() {
    const [speaker, emotion] = [this.#chosen("lab-speaker"), this.#chosen("lab-emotion")];
    if (!speaker || !emotion) return;
    this.#named("");
    const samples = JSON.parse(document.getElementById("lab-samples")?.textContent ?? "{}");
    const name = `${speaker.value}-${emotion.value}`;
    const turn = ++this.turn;
    try {
      const response = await fetch(samples[name] ?? "");
      if (!response.ok || !samples[name]) throw new Error(`no sample ${name}`);
      const file = await response.blob();
      if (turn === this.turn) this.listener.chosen(name, file);
    } catch (error) {
      console.warn("lab:", error);
      if (turn === this.turn) this.listener.failed();
    }
  }
}
