// @openai/agents-realtime in Node: `agents_client.mjs URL KEY QUESTION.pcm …`; says what it saw as one JSON object.
import { readFileSync } from 'node:fs';
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } from '@openai/agents-realtime';

const [url, key, ...paths] = process.argv.slice(2);
const questions = paths.map((path) => readFileSync(path));
const CHUNK = 1920; // 40 ms of PCM16 at 24 kHz

const agent = new RealtimeAgent({ name: 'telugu', instructions: 'Speak Telugu.' });
const transport = new OpenAIRealtimeWebSocket({ url: `${url.replace('http', 'ws')}/realtime?model=telugu-voice` });
const session = new RealtimeSession(agent, {
  transport,
  model: 'telugu-voice',
  tracingDisabled: true,
  config: { audio: { output: { voice: 'lakshmi' }, input: { turnDetection: { type: 'semantic_vad', eagerness: 'low' } } } },
});

const seen = { kinds: [], errors: [], interrupted: 0, answers: [], statuses: [], truncated: [] };
const audio = new Map();
const waiting = [];
const news = () => waiting.splice(0).forEach((check) => check());
const until = (ready) =>
  new Promise((resolve) => {
    const check = () => (ready() ? resolve() : waiting.push(check));
    check();
  });

session.on('error', (event) => seen.errors.push(String(event.error?.message ?? JSON.stringify(event.error))));
session.on('audio_interrupted', () => ((seen.interrupted += 1), news()));
session.on('transport_event', (event) => {
  seen.kinds.push(event.type);
  if (event.type === 'response.output_audio.delta') {
    const before = audio.get(event.item_id) ?? [];
    audio.set(event.item_id, [...before, Buffer.from(event.delta, 'base64')]);
  } else if (event.type === 'response.done') {
    seen.statuses.push(event.response.status);
  } else if (event.type === 'conversation.item.truncated') {
    seen.truncated.push(event.audio_end_ms);
  }
  news();
});

const timer = setTimeout(() => {
  console.error(JSON.stringify(seen));
  process.exit(3);
}, 90_000);

await session.connect({ apiKey: key });
let rest = Buffer.alloc(0);
const microphone = setInterval(() => {
  const piece = rest.length ? rest.subarray(0, CHUNK) : Buffer.alloc(CHUNK);
  rest = rest.subarray(CHUNK);
  session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
}, 40);

rest = questions[0];
await until(() => seen.statuses.length === 1); // a whole answer
const first = audio.size;
rest = questions[1];
await until(() => audio.size > first && [...audio.values()].at(-1).length > 8);
seen.over = audio.size - 1;
const before = seen.statuses.length;
rest = questions[2]; // over the answer
await until(() => seen.statuses.length === before + 2);
clearInterval(microphone);
clearTimeout(timer);
session.close();
seen.answers = [...audio.values()].map((parts) => Buffer.concat(parts).toString('base64'));
seen.history = session.history.map((item) => ({ role: item.role, content: item.content }));
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
