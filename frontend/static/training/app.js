// @ts-check
/** The dashboard's scripts: players, curves, uploads, questions before something is deleted. */

import { charts } from "./charts.js";
import { players } from "./players.js";
import { upload } from "./upload.js";

/** @param {ParentNode} root */
function awake(root) {
  players(root);
  for (const form of root.querySelectorAll("form[data-upload]")) upload(/** @type {HTMLFormElement} */ (form));
  for (const place of root.querySelectorAll("[data-charts]")) charts(/** @type {HTMLElement} */ (place));
}

/** Whether somebody opened the log: a fresh copy of the page's part must not shut it. */
const opened = new Set();

document.addEventListener("toggle", (event) => {
  const part = event.target;
  if (part instanceof HTMLDetailsElement && part.dataset.keep && part.isConnected) {
    if (part.open) opened.add(part.dataset.keep);
    else opened.delete(part.dataset.keep);
  }
}, true);

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form instanceof HTMLFormElement ? form.dataset.confirm : undefined;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.body.addEventListener("htmx:beforeSwap", (event) => {
  // A form that comes back with complaints is an answer like any other.
  const detail = /** @type {CustomEvent} */ (event).detail;
  if (detail.xhr.status === 422) detail.shouldSwap = true;
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return;
  for (const part of target.querySelectorAll("details[data-keep]")) {
    if (part instanceof HTMLDetailsElement && opened.has(part.dataset.keep)) part.open = true;
  }
  awake(target);
});

document.body.addEventListener("training:validated", () => {
  document.body.dispatchEvent(new CustomEvent("more-samples"));
});

awake(document);
