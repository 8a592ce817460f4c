// @ts-check
/** The talk page: finds its parts, ties them to a session, and shows the session's state. */

import { active, live } from "./connection.js";
import { Controls } from "./controls.js";
import { DialBoard, holdToTalk } from "./dials.js";
import { Figures } from "./figures.js";
import { news } from "./news.js";
import { Orb } from "./orb.js";
import { hush } from "./player.js";
import { Session } from "./session.js";
import { tap } from "./tap.js";
import { Turns } from "./turns.js";
import { describe, fill, label, otherLanguage, pageLanguage } from "./words.js";

/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./types.js").PageData} PageData */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function part(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page lacks #${id}`);
  return element;
}

const page = /** @type {PageData} */ (JSON.parse(part("voice-config", HTMLScriptElement).textContent || "{}"));
const language = pageLanguage();
const NOTICES = ["turn_lost", "mode_refused"];
const stage = part("stage", HTMLElement);
const button = part("talk-button", HTMLButtonElement);
const retry = part("retry", HTMLButtonElement);
const login = part("login-link", HTMLAnchorElement);
const notice = part("notice", HTMLElement);

const orb = new Orb(part("orb", HTMLCanvasElement), {
  heard: part("meter-heard", HTMLElement),
  spoken: part("meter-spoken", HTMLElement),
});
const turns = new Turns(
  part("turns", HTMLElement),
  part("turn-template", HTMLTemplateElement),
  part("turns-empty", HTMLElement),
);

const url = new URL(page.ws_path, location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const { capture = "", playback = "" } = document.body.dataset;
const session = new Session(
  { url: url.href, wanted: { ...page.defaults }, worklets: { capture, playback } },
  {
    state: (state) => show(state),
    measured: (measured) => figures.add(measured),
    message: (message) => {
      if (message.type === "stats") figures.serverSaid(message);
      if (message.type === "turn") {
        const silence = message.role === "assistant" ? session.silence.before(message.latency) : null;
        turns.add(message, controls.describe(message), session.deviceMs, talks(), silence);
      }
      if (message.type === "caption") turns.caption(message);
      if (message.type === "notice" && NOTICES.includes(message.code)) notice.textContent = label(language, message.code);
    },
  },
);
/** Whether the session is a conversation. */
const talks = () => (session.state.config?.mode ?? session.wanted.mode) === "talk";
const figures = new Figures(part("figures-card", HTMLElement), (parts) => session.mouthToEarMs(parts));
const root = part("talk-page", HTMLElement);
const controls = new Controls(root, {
  change: (change) => session.configure(change),
  volume: (volume) => session.audio.setVolume(volume),
  headphones: (on) => {
    session.audio.setHeadphones(on).catch((error) => {
      session.dispatch({ type: "microphone_failed", problem: error.problem ?? "audio_failed" });
    });
  },
});
const dials = new DialBoard(root, (change) => session.configure(change));
const stop = part("stop-answer", HTMLButtonElement);
stop.addEventListener("click", () => session.interrupt());
/** Push-to-talk: the large button is a key to hold. */
const pushing = () => live(session.state.phase) && talks() && (session.state.config ?? session.wanted).turn_taking === "push";
holdToTalk(button, pushing, (event) => session.key(event));
part("end", HTMLButtonElement).addEventListener("click", () => session.stop());
part("forget", HTMLButtonElement).addEventListener("click", () => session.forget());
session.configure(controls.wanted);
session.audio.headphones = controls.headphones.checked;

let countdown = 0;
/** What the pickers show. @type {State["config"]} */
let shown = null;

/** @param {State} state */
function show(state) {
  const { phase, problem, config } = state;
  stage.dataset.phase = phase;
  stop.hidden = phase !== "answering";
  document.body.dataset.live = String(live(phase));
  button.setAttribute("aria-pressed", String(active(phase)));
  button.setAttribute("aria-label", label(language, pushing() ? "hold" : active(phase) ? "stop" : "start"));
  retry.hidden = !(state.retryAt > 0 && (phase === "busy" || phase === "reconnecting"));
  login.hidden = problem !== "login_required";
  if (live(phase)) {
    orb.start(session.audio);
    notice.textContent = "";
  } else {
    orb.stop();
  }
  if (!active(phase)) figures.reset();
  if (config && config !== shown) {
    const told = news(config, shown);
    controls.show(told);
    dials.show(told);
  }
  const { mode, turn_taking } = config ?? session.wanted;
  root.dataset.mode = mode;
  root.dataset.turnTaking = turn_taking;
  shown = config;
  clearInterval(countdown);
  if (phase === "busy") countdown = window.setInterval(() => say(state), 1000);
  say(state);
}

/** The state in words: the page's language large, the other one small. @param {State} state */
function say({ phase, problem, retryAt }) {
  const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
  const [title, advice] = describe(language, phase, problem);
  const [beside] = describe(otherLanguage(language), phase, problem);
  put("status-title", title);
  put("status-beside", beside);
  put("status-advice", fill(advice, { seconds }));
}

/** Only what changed is written: a live region speaks at every write. @param {string} id @param {string} words */
function put(id, words) {
  const place = part(id, HTMLElement);
  if (place.textContent !== words) place.textContent = words;
}

button.addEventListener("click", () => {
  if (pushing()) return;
  hush();
  session.toggle();
});
retry.addEventListener("click", () => session.retry());
window.addEventListener("online", () => session.retry());
window.addEventListener("pagehide", () => session.stop());
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const free = event.target === document.body || event.target === document.documentElement;
  if (event.code === "Space" && free && !pushing()) {
    event.preventDefault();
    button.click();
  }
  if (event.code === "Escape" && active(session.state.phase)) session.stop();
});

show(session.state);
if (page.debug) Object.assign(window, { __voice: { session, ...tap(session.audio) } });
if (!page.guests_allowed && !page.authenticated) {
  button.disabled = true;
  show({ ...session.state, phase: "refused", problem: "login_required" });
}
