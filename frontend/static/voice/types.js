// @ts-check
/**
 * Shapes shared by the modules of the talk page. No code, no imports: other modules refer to these by JSDoc, and a
 * module without imports cannot become part of a cycle.
 */

/** @typedef {"reconstruct" | "talk"} Mode */
/** @typedef {"stream" | "turn" | "push"} TurnTaking */
/** @typedef {"yes" | "codes" | "nothing"} KeepAudio */

/**
 * How answers sound, what is kept; null leaves it to the voice and the emotion.
 * @typedef {object} Dials
 * @property {number} [pitch_semitones]
 * @property {number} [energy_db]
 * @property {number} [rate]
 * @property {number | null} [accent]
 * @property {number | null} [intensity]
 * @property {KeepAudio} [keep_audio]
 * @property {string | null} [mix] a second voice; "" (or null, from the server) for none
 * @property {number} [mix_share] how much of it, 0 to 1
 */

/**
 * What is in force for a session.
 * @typedef {Dials & SessionBasics} SessionConfig
 */

/**
 * @typedef {object} SessionBasics
 * @property {Mode} mode
 * @property {TurnTaking} turn_taking
 * @property {string | null} speaker
 * @property {string | null} emotion
 * @property {number} quantizers 1 to 8
 */

/** @typedef {{frame_samples: number, sample_rate: number, max_ahead_ms: number, resume_seconds: number}} Limits */
/** @typedef {{type: "welcome", protocol: number, session: string, resume_token: string, resumed: boolean,
 *   generation: number, config: SessionConfig, limits: Limits, models: Record<string, string>, codecs?: string[]}} Welcome */
/** @typedef {{type: "config", config: SessionConfig}} ConfigChanged */
/** @typedef {{type: "generation", generation: number, reason: "interrupt" | "barge_in" | "config" | "resume"
 *   }} GenerationChanged */
/** @typedef {{type: "endpoint", turn: number, start_ms: number, end_ms: number, waited_ms: number, reason: string
 *   }} Endpoint */
/** @typedef {{type: "answer", turn: number, event: "started" | "ended" | "interrupted" | "resumed", generation: number,
 *   at_ms: number, reason: string, latency: Record<string, number>}} Answer */
/** @typedef {{type: "speech", event: "started" | "stopped", at_ms: number}} Speech */
/** @typedef {{type: "turn", id: string, index: number, role: "user" | "assistant", duration_ms: number,
 *   audio_url: string | null, output_url?: string | null, interrupted_at_ms?: number | null, speaker?: string | null,
 *   emotion?: string | null, latency: Record<string, number>}} TurnStored */
/** @typedef {{type: "caption", turn: string, text: string, known: boolean}} Caption */
/** @typedef {{type: "stats", bitrate_bps: number, encode_ms: number, decode_ms: number, queue_ms: number,
 *   server_ms: number, ahead_ms: number, lost: number, dropped: number, late: number}} Stats */
/** @typedef {{type: "busy", retry_after_s: number}} Busy */
/** @typedef {{type: "notice", code: string, message: string}} Notice */
/** @typedef {{type: "error", code: string, message: string, hint: string, fatal: boolean}} ErrorEvent */
/** @typedef {{type: "pong", id: number, t: number}} Pong */
/** @typedef {Welcome | ConfigChanged | GenerationChanged | Speech | Endpoint | Answer | TurnStored | Caption | Stats | Busy
 *   | Notice | ErrorEvent | Pong} ServerMessage */

/** @typedef {Dials & {type: "hello", protocol: 1, mode: Mode, turn_taking: TurnTaking, speaker: string | null,
 *   emotion: string | null, quantizers: number, codecs: string[], resume: string | null, client: string}} Hello */
/** @typedef {Dials & {type: "config", speaker?: string, emotion?: string, quantizers?: number, mode?: Mode,
 *   turn_taking?: TurnTaking, now?: boolean}} Configure */
/** @typedef {{type: "played", generation: number, played_ms: number, buffered_ms: number, underruns: number}} Played */
/** @typedef {{type: "ping", id: number, t: number, rtt_ms?: number}} Ping */
/** @typedef {{type: "key", event: "press" | "release"}} Key */
/** @typedef {Hello | Configure | Played | Ping | Key | {type: "interrupt"} | {type: "forget"} | {type: "end"}
 *   } ClientMessage */

/**
 * What the playback worklet reports every 250 ms.
 * @typedef {object} PlaybackReport
 * @property {"played"} type
 * @property {number} generation
 * @property {number} playedMs media position within the generation: played, or given up by the buffer
 * @property {number} bufferedMs
 * @property {number} targetMs how much the buffer wants before it starts
 * @property {number} underruns
 * @property {number} droppedMs
 * @property {boolean} idle nothing arrived since the last report, and nothing is buffered
 */

/** @typedef {{type: "began", generation: number}} PlaybackBegan sound came out after silence */

/** @typedef {{slug: string, name_te: string, name_en: string, gender?: string, description?: string}} Speaker */
/** @typedef {{slug: string, name_te: string, name_en: string, emoji: string}} Emotion */

/**
 * What the server tells the page (`json_script`, id `voice-config`).
 * @typedef {object} PageData
 * @property {string} ws_path
 * @property {Speaker[]} speakers
 * @property {Emotion[]} emotions
 * @property {{speaker: string | null, emotion: string | null, quantizers: number, mode: Mode,
 *   turn_taking: TurnTaking}} defaults
 * @property {Mode[]} modes that are served
 * @property {boolean} guests_allowed
 * @property {boolean} authenticated
 * @property {string} login_url
 * @property {boolean} debug
 */

export {};
