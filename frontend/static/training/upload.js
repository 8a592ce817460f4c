// @ts-check
/** Sends recordings one by one, with progress; what is refused is named and the rest goes on. */

/** @typedef {{file: string, why: string}} Refused */

/**
 * One file. Resolves to what was refused of it.
 * @param {string} url @param {string} token @param {File} file @param {(sent: number) => void} tell
 * @returns {Promise<Refused[]>}
 */
function send(url, token, file, tell) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch cannot tell how much of a body has been sent
    const body = new FormData();
    body.append("files", file);
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", token);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("load", () => {
      const answer = request.response ?? {};
      if (request.status === 201) return resolve(answer.left_out ?? []);
      const why = [answer.message ?? request.statusText, answer.hint].filter(Boolean).join(": ");
      resolve([{ file: file.name, why }]);
    });
    request.addEventListener("error", () => resolve([{ file: file.name, why: "—" }]));
    request.send(body);
  });
}

/** @param {HTMLFormElement} form */
export function upload(form) {
  if (form.dataset.ready) return;
  form.dataset.ready = "true";
  const picker = /** @type {HTMLInputElement} */ (form.querySelector("input[type=file]"));
  const bar = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
  const words = /** @type {HTMLElement} */ (form.querySelector('[data-part="words"]'));
  const list = /** @type {HTMLElement} */ (form.querySelector('[data-part="refused"]'));
  const drop = /** @type {HTMLElement} */ (form.querySelector(".drop"));
  const token = /** @type {HTMLInputElement} */ (form.querySelector("[name=csrfmiddlewaretoken]")).value;

  /** @param {File[]} files */
  async function all(files) {
    if (!files.length) return;
    picker.disabled = true;
    bar.hidden = false;
    list.replaceChildren();
    const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
    let before = 0;
    let refused = 0;
    for (const [number, file] of files.entries()) {
      words.textContent = (form.dataset.done ?? "").replace("%n", String(number)).replace("%t", String(files.length));
      const left = await send(form.action, token, file, (sent) => {
        bar.value = Math.min(1, (before + sent) / total);
      });
      before += file.size;
      bar.value = Math.min(1, before / total);
      for (const { file: name, why } of left) {
        refused += 1;
        const item = document.createElement("li");
        item.textContent = `${name}: ${why}`;
        list.append(item);
      }
    }
    words.textContent = (form.dataset.done ?? "").replace("%n", String(files.length)).replace("%t", String(files.length));
    picker.disabled = false;
    picker.value = "";
    if (refused) words.textContent += ` · ${refused} ${form.dataset.failed}`;
    else window.location.reload(); // what was sent is the server's to show
  }

  picker.addEventListener("change", () => void all([...(picker.files ?? [])]));
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.dataset.over = String(name === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => void all([...(event.dataTransfer?.files ?? [])]));
}
