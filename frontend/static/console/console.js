/**
 * Small helpers of the admin's forms: dials and samples by ear. Every form works without them.
 */
(() => {
  /** A slider follows its number, the number its slider; a double click goes back to rest.
   * @param {HTMLElement} dial */
  function wireDial(dial) {
    const range = /** @type {HTMLInputElement} */ (dial.querySelector("input[type=range]"));
    const number = /** @type {HTMLInputElement} */ (dial.querySelector("input[type=number]"));
    const follow = () => {
      if (number.value !== "") range.value = number.value;
      dial.classList.toggle("is-own", number.value === "");
    };
    const tell = () => number.dispatchEvent(new Event("input", { bubbles: true }));
    range.addEventListener("input", () => { number.value = range.value; follow(); tell(); });
    number.addEventListener("input", () => { if (document.activeElement !== range) follow(); });
    const rest = dial.dataset.rest;
    if (rest !== undefined) range.addEventListener("dblclick", () => { number.value = rest; follow(); tell(); });
    range.disabled = number.disabled || number.readOnly;
    follow();
  }

  /** One recording at a time; its tempo is what the form's rate dial says.
   * @param {HTMLElement} box */
  function wirePreview(box) {
    const audio = new Audio();
    /** @type {HTMLElement | null} */
    let playing = null;
    const rate = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=rate]"));
    const setRate = () => { audio.playbackRate = Math.min(2, Math.max(0.5, Number(rate?.value) || 1)); };
    rate?.addEventListener("input", setRate);
    /** @param {HTMLElement | null} item */
    const show = (item) => {
      playing?.classList.remove("is-playing");
      const icon = playing?.querySelector(".material-symbols-outlined");
      if (icon) icon.textContent = "play_arrow";
      playing = item;
      item?.classList.add("is-playing");
      const next = item?.querySelector(".material-symbols-outlined");
      if (next) next.textContent = "stop";
    };
    const audition = /** @type {HTMLElement | null} */ (box.querySelector("[data-audition]"));
    if (audition) wireAudition(audition, audio, show);
    audio.addEventListener("ended", () => show(null));
    audio.addEventListener("error", () => show(null));
    box.addEventListener("click", (event) => {
      const target = /** @type {Element} */ (event.target);
      const item = /** @type {HTMLElement | null} */ (target.closest("[data-src]"));
      if (!item) return;
      if (item === playing) { audio.pause(); show(null); return; }
      audio.src = item.dataset.src ?? "";
      audio.defaultPlaybackRate = Number(rate?.value) || 1;
      setRate();
      show(item);
      audio.play().catch(() => show(null));
    });
  }

  /** What the form says, spoken by the model: a question is asked and the answer played.
   * @param {HTMLElement} place @param {HTMLAudioElement} audio @param {(item: HTMLElement | null) => void} show */
  function wireAudition(place, audio, show) {
    const button = /** @type {HTMLButtonElement} */ (place.querySelector("[data-hear]"));
    const told = /** @type {HTMLElement} */ (place.querySelector("[data-told]"));
    const other = /** @type {HTMLSelectElement} */ (place.querySelector("[data-with]"));
    const usual = told.textContent;
    button.addEventListener("click", async () => {
      const form = place.closest("form");
      const data = form ? new FormData(form) : new FormData();
      for (const [name, value] of [...data]) if (typeof value !== "string") data.delete(name);
      data.set("object", place.dataset.object ?? "");
      data.set("with", other.value);
      audio.pause();
      show(null);
      button.disabled = true;
      told.textContent = told.dataset.asking ?? "";
      try {
        const answer = await fetch(place.dataset.audition ?? "", { method: "POST", body: data });
        if (!answer.ok) {
          const problem = answer.headers.get("Content-Type") === "application/json" ? await answer.json() : {};
          told.textContent = [problem.detail, problem.hint].filter(Boolean).join("; ") || (told.dataset.failed ?? "");
          return;
        }
        if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
        audio.src = URL.createObjectURL(await answer.blob());
        audio.defaultPlaybackRate = 1;
        audio.playbackRate = 1;
        told.textContent = usual;
        place.dataset.heard = String(Number(place.dataset.heard ?? 0) + 1);
        show(button);
        await audio.play();
      } catch {
        show(null);
        told.textContent = told.dataset.failed ?? "";
      } finally {
        button.disabled = false;
      }
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-dial]").forEach((dial) => wireDial(/** @type {HTMLElement} */ (dial)));
    document.querySelectorAll("[data-preview]").forEach((box) => wirePreview(/** @type {HTMLElement} */ (box)));
  });
})();
