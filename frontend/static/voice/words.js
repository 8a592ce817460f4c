// @ts-check
/**
 * Every text that scripts show, in Telugu and English; templates have theirs in frontend/locale. Each entry of
 * `PHASES` and `PROBLEMS` is [headline, what to do].
 */

/** @typedef {"te" | "en"} Language */
/** @typedef {Record<string, [string, string]>} Pairs */

/** @type {Record<Language, Pairs>} */
export const PHASES = {
  te: {
    idle: ["మాట్లాడటానికి నొక్కండి", "స్పేస్ కీ కూడా పనిచేస్తుంది."],
    asking: ["మైక్రోఫోన్ అడుగుతున్నాం", "బ్రౌజర్ అడిగే ప్రశ్నకు ‘అనుమతించు’ ఎంచుకోండి."],
    connecting: ["కలుపుతున్నాం", ""],
    listening: ["వింటున్నాం, మాట్లాడండి", ""],
    speaking: ["మీ మాట వినిపిస్తోంది", ""],
    thinking: ["ఆలోచిస్తోంది", ""],
    answering: ["జవాబు వినండి", "మధ్యలో మాట్లాడితే ఆగుతుంది."],
    reconnecting: ["మళ్లీ కలుపుతున్నాం", ""],
    busy: ["ప్రస్తుతం చోటు ఖాళీ లేదు", "{seconds} సెకన్లలో మళ్లీ ప్రయత్నిస్తాం."],
  },
  en: {
    idle: ["Press to talk", "The space bar works too."],
    asking: ["Asking for the microphone", "Choose “Allow” when the browser asks."],
    connecting: ["Connecting", ""],
    listening: ["Listening, go ahead", ""],
    speaking: ["Hearing you", ""],
    thinking: ["Thinking", ""],
    answering: ["Answering", "Speak up and she stops."],
    reconnecting: ["Reconnecting", ""],
    busy: ["All places are taken", "Trying again in {seconds} s."],
  },
};

/** Why something ended or waits, by the reducer's `problem`. @type {Record<Language, Pairs>} */
export const PROBLEMS = {
  te: {
    microphone_denied: ["మైక్రోఫోన్‌కు అనుమతి లేదు", "చిరునామా పక్కనున్న గుర్తును నొక్కి, మైక్రోఫోన్‌ను అనుమతించి, మళ్లీ నొక్కండి."],
    microphone_missing: ["మైక్రోఫోన్ కనబడలేదు", "మైక్రోఫోన్‌ను అమర్చి మళ్లీ నొక్కండి."],
    microphone_busy: ["మైక్రోఫోన్ తెరుచుకోలేదు", "వేరే యాప్ వాడుతుంటే దాన్ని మూసి మళ్లీ నొక్కండి."],
    microphone_lost: ["మైక్రోఫోన్ తెగిపోయింది", "దాన్ని మళ్లీ అమర్చి నొక్కండి."],
    insecure: ["ఈ చిరునామా నుంచి మైక్రోఫోన్ అందదు", "https:// ద్వారా లేదా localhost లో ఈ పేజీని తెరవండి."],
    unsupported: ["ఈ బ్రౌజర్ సరిపోదు", "Chrome, Firefox లేదా Safari కొత్త వెర్షన్‌లో తెరవండి."],
    audio_failed: ["ధ్వని మొదలుకాలేదు", "పేజీని మళ్లీ తెరిచి ప్రయత్నించండి."],
    login_required: ["మాట్లాడాలంటే లాగిన్ కావాలి", ""],
    fault: ["పేజీకీ సర్వర్‌కూ పొసగలేదు", "పేజీని మళ్లీ తెరవండి."],
    stopped: ["ముగిసింది", "మళ్లీ మాట్లాడటానికి నొక్కండి."],
    finished: ["ముగిసింది", "మళ్లీ మాట్లాడటానికి నొక్కండి."],
    ended_by_operator: ["నిర్వాహకులు ముగించారు", "కొత్తగా మొదలుపెట్టడానికి నొక్కండి."],
    lost: ["సర్వర్ అందడం లేదు", "మైక్రోఫోన్ ఆపేశాం. మళ్లీ ప్రయత్నించడానికి నొక్కండి."],
    network: ["", "కనెక్షన్ తెగింది. మీ సంభాషణ భద్రంగా ఉంది."],
    inference_lost: ["", "ధ్వని సర్వర్ మళ్లీ మొదలవుతోంది. మీ సంభాషణ భద్రంగా ఉంది."],
    going_away: ["", "సర్వర్ మారుతోంది. మీ సంభాషణ భద్రంగా ఉంది."],
    too_slow: ["", "ఈ పరికరం కాస్త వెనకబడింది."],
    resume_expired: ["", "పాత సంభాషణ గడువు ముగిసింది; కొత్తది మొదలవుతోంది."],
  },
  en: {
    microphone_denied: ["The microphone is blocked", "Click the sign beside the address, allow the microphone, and press again."],
    microphone_missing: ["No microphone found", "Connect one and press again."],
    microphone_busy: ["The microphone did not open", "If another program uses it, close that and press again."],
    microphone_lost: ["The microphone went away", "Connect it again and press."],
    insecure: ["No microphone at this address", "Browsers give it to https:// and localhost only: open the page there."],
    unsupported: ["This browser is not enough", "Use a recent Chrome, Firefox or Safari."],
    audio_failed: ["Sound could not start", "Reload the page and try again."],
    login_required: ["Please log in to talk", ""],
    fault: ["Page and server disagree", "Reload the page."],
    stopped: ["Ended", "Press to talk again."],
    finished: ["Ended", "Press to talk again."],
    ended_by_operator: ["An operator ended this session", "Press to begin a new one."],
    lost: ["The server does not answer", "The microphone is off. Press to try again."],
    network: ["", "The connection dropped. Your session is kept."],
    inference_lost: ["", "The audio server is restarting. Your session is kept."],
    going_away: ["", "The server is being replaced. Your session is kept."],
    too_slow: ["", "This device fell behind."],
    resume_expired: ["", "The old session has expired; a new one begins."],
  },
};

/** @type {Record<Language, Record<string, string>>} */
const LABELS = {
  te: {
    start: "మాట్లాడటం మొదలుపెట్టు",
    stop: "ఆపు",
    retry: "ఇప్పుడే ప్రయత్నించు",
    turn: "మాట {n}",
    microphone: "మైక్",
    codec: "కోడెక్",
    play: "{what} వినండి",
    pause: "{what} ఆపండి",
    position: "{what}: ఎక్కడ",
    seconds: "{n} సె",
    heard_after: "సుమారు {n} ms తర్వాత వినిపించింది",
    you: "మీరు",
    answer: "జవాబు",
    interrupted_at: "{n} సె వద్ద ఆపారు",
    answered_after: "సుమారు {n} ms తర్వాత జవాబు",
    silence_heard: "{n} ms నిశ్శబ్దం వినిపించింది",
    other_ms: "మిగతా",
    hold: "పట్టుకుని మాట్లాడండి",
    approximate: "సుమారుగా",
    endpoint_ms: "మాట ముగింపు",
    answer_ms: "జవాబు",
    mode_refused: "ఈ పద్ధతి ప్రస్తుతం అందుబాటులో లేదు.",
    device_ms: "పరికరం",
    network_ms: "నెట్‌వర్క్",
    queue_ms: "వరుస",
    encode_ms: "ఎన్‌కోడ్",
    decode_ms: "డీకోడ్",
    server_rest_ms: "సర్వర్",
    playback_ms: "బఫర్",
    recording_gone: "ఈ రికార్డింగ్ అందడం లేదు",
    turn_lost: "ఈ మాటను భద్రపరచలేకపోయాం.",
    lab_recording: "రికార్డింగ్",
    lab_working: "లెక్కిస్తున్నాం…",
    lab_cut: "మొదటి {n} సెకన్లే తీసుకున్నాం.",
    lab_no_answer: "సర్వర్ అందలేదు.",
    lab_no_sample: "ఈ నమూనా అందలేదు.",
    lab_asking: "మైక్రోఫోన్ అడుగుతున్నాం…",
    lab_speak: "మాట్లాడండి.",
    lab_too_short: "ఇది మరీ చిన్నది; మళ్లీ రికార్డు చేయండి.",
  },
  en: {
    start: "Start talking",
    stop: "Stop",
    retry: "Try now",
    turn: "Turn {n}",
    microphone: "Mic",
    codec: "Codec",
    play: "Play: {what}",
    pause: "Pause: {what}",
    position: "{what}: position",
    seconds: "{n} s",
    heard_after: "heard about {n} ms later",
    you: "You",
    answer: "Answer",
    interrupted_at: "stopped at {n} s",
    answered_after: "answered after about {n} ms",
    silence_heard: "{n} ms of silence heard",
    other_ms: "other",
    hold: "Hold to talk",
    approximate: "approximate",
    endpoint_ms: "end of speech",
    answer_ms: "answer",
    mode_refused: "This mode is not available now.",
    device_ms: "device",
    network_ms: "network",
    queue_ms: "queue",
    encode_ms: "encode",
    decode_ms: "decode",
    server_rest_ms: "server",
    playback_ms: "buffer",
    recording_gone: "This recording cannot be reached",
    turn_lost: "This turn could not be stored.",
    lab_recording: "recording",
    lab_working: "Computing…",
    lab_cut: "The first {n} seconds were taken.",
    lab_no_answer: "The server did not answer.",
    lab_no_sample: "This sample could not be loaded.",
    lab_asking: "Asking for the microphone…",
    lab_speak: "Speak.",
    lab_too_short: "That was too short; record again.",
  },
};

/** The page's language. @returns {Language} */
export function pageLanguage() {
  return document.documentElement.lang.startsWith("en") ? "en" : "te";
}

/** @param {Language} language @returns {Language} */
export function otherLanguage(language) {
  return language === "te" ? "en" : "te";
}

/**
 * @param {string} template
 * @param {Record<string, string | number>} [values]
 */
export function fill(template, values = {}) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * @param {Language} language
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function label(language, key, values) {
  return fill(LABELS[language][key] ?? key, values);
}

/**
 * Headline and advice for a state of the connection.
 * @param {Language} language
 * @param {string} phase
 * @param {string} problem
 * @returns {[string, string]}
 */
export function describe(language, phase, problem) {
  const [title, advice] = PROBLEMS[language][problem] ?? ["", ""];
  const [usual, usualAdvice] = PHASES[language][phase] ?? ["", ""];
  return [title || usual, advice || usualAdvice];
}

/** For the tests: the languages must have the same keys. */
export const CATALOGUES = { PHASES, PROBLEMS, LABELS };
