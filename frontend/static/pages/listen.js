// @ts-check
/** The gallery: one recording at a time, a second press stops it. */

const audio = new Audio();
/** @type {HTMLButtonElement | null} */
let current = null;

/** @param {HTMLButtonElement | null} button */
function choose(button) {
  if (current) {
    current.setAttribute("aria-pressed", "false");
    current.style.removeProperty("--at");
  }
  current = button;
  button?.setAttribute("aria-pressed", "true");
}

/** @param {HTMLButtonElement} button */
async function press(button) {
  if (button === current) {
    audio.pause();
    choose(null);
    return;
  }
  choose(button);
  audio.src = button.dataset.sample ?? "";
  try {
    await audio.play();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return; // another was pressed meanwhile
    choose(null);
    const trouble = document.getElementById("listen-trouble");
    if (trouble) trouble.textContent = trouble.dataset.words ?? "";
  }
}

audio.addEventListener("ended", () => choose(null));
audio.addEventListener("timeupdate", () => {
  if (current && audio.duration) current.style.setProperty("--at", String(audio.currentTime / audio.duration));
});
for (const button of document.querySelectorAll("[data-sample]")) {
  if (button instanceof HTMLButtonElement) button.addEventListener("click", () => void press(button));
}
