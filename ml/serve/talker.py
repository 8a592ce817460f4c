"""The models of a conversation on the device: dialogue codec and speech-to-speech model, with the state of all rows.

Every method must be called by the one thread that owns the device, and takes the numbers of the rows that take part.
What is remembered of a turn is summed up by a thread beside it, since nobody waits for that: it took 10 to 40 ms of a
tick, ten turns of an earlier connection half a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from ml.codec import TeluCodec
from ml.s2s import Conditions, S2SModel
from ml.s2s.live import Remembered, put_by, recollect, sum_up
from ml.s2s.sampling import Sampling
from ml.serve.niceness import give_way
from ml.serve.stepper import PCM_SCALE
from ml.serve.talk_messages import Codes, History, Voice

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Made:
    """One answer frame of n rows, not to be heard yet: codes uint16 [n, levels], whether the answer ended before it."""

    codes: Codes
    ended: list[bool]
    step_us: int


class Talker:
    """One pair of models. Several may be loaded at a time: sessions keep the one they began with."""

    def __init__(
        self, codec: TeluCodec, model: S2SModel, capacity: int, device: torch.device, sampling: Sampling | None = None
    ) -> None:
        if codec.config.n_quantizers != model.config.levels or codec.config.frame_rate != model.config.frame_rate:
            raise ValueError(
                f"the codec has {codec.config.n_quantizers} levels at {codec.config.frame_rate} Hz, the model "
                f"{model.config.levels} at {model.config.frame_rate} Hz: they do not belong together"
            )
        self.codec = codec
        self.model = model
        self.hop = codec.config.hop
        self.delay_samples = codec.config.delay_samples
        self.speakers = {slug: i for i, slug in enumerate(model.config.speakers)}
        self.emotions = {slug: i for i, slug in enumerate(model.config.emotions)}
        self._sampling = sampling or Sampling()
        self._capacity = capacity
        self._device = device
        self._ears = codec.streaming_state(capacity)
        self._mouth = codec.streaming_state(capacity)
        self._state = model.streaming_state(capacity)
        self._beside = ThreadPoolExecutor(1, "memory", _begin_beside)
        self._owed: list[list[Future[list[Remembered]]]] = [[] for _ in range(capacity)]
        """Turns of each row that are being summed up, oldest first."""

    def warm_up(self, rounds: int = 2) -> float:
        """A short conversation of every batch size, then reset; returns the milliseconds it took."""
        started = time.perf_counter()
        if self.model.phrases is not None:
            self.model.phrases.prepare()
        for size in range(1, self._capacity + 1):
            rows = list(range(size))
            for _ in range(rounds):
                codes = self.encode(rows, np.zeros((size, self.hop), np.float32))
                self.listen(rows, codes)
                self.begin(rows, [Voice()] * size, rows)
                self.decode(rows, self.step(rows).codes[:, :, None])
                self.reset(rows)
        return 1000.0 * (time.perf_counter() - started)

    # -- the row -------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def reset(self, rows: list[int]) -> None:
        """Rows start anew: nothing heard, nothing remembered."""
        mask = self._mask(rows)
        self._ears.reset(mask)
        self._mouth.reset(mask)
        self._state.reset(rows)
        for row in rows:
            self._disown(row)

    @torch.inference_mode()
    def drop(self, rows: list[int]) -> None:
        """Forget the present question and answer, keep the memory."""
        self._state.clear(rows)

    def remember(self, row: int, heard_frames: int) -> None:
        """The turn is over, and this much of its answer was heard."""
        ended = put_by(self.model, self._state, row, heard_frames)
        if ended is not None:
            self._owe(row, lambda: [sum_up(self.model, ended)])

    def recall(self, row: int, turns: list[History]) -> None:
        """Remember turns of an earlier connection, oldest first."""
        told = [turn for turn in turns if turn.question.size or turn.answer.size][-self.model.config.memory_turns :]
        pairs = [(self._codes(turn.question), self._codes(turn.answer)) for turn in told]
        self._disown(row)
        self._state.forget(row)
        self._owe(row, partial(self._recollected, pairs, [turn.plan for turn in told]))

    def _recollected(self, pairs: list[tuple[torch.Tensor, torch.Tensor]], plans: list[int | None]) -> list[Remembered]:
        """What is remembered of turns; the plan that was taken says more than what its answer's codes sound like."""
        found = zip(recollect(self.model, pairs), plans, strict=True)
        return [
            (summaries, there, likeliest if plan is None or plan >= self.model.config.n_plans else plan)
            for (summaries, there, likeliest), plan in found
        ]

    def plan(self, row: int) -> int | None:
        """What the row is going to say, of the answers that the model knows; None when it does not tell."""
        taken = self._state.rows[row].plan
        return taken if taken >= 0 else None

    def remembers(self, row: int) -> bool:
        """Whether everything is summed up: `begin` would wait for the rest."""
        return all(owed.done() for owed in self._owed[row])

    def _owe(self, row: int, work: Callable[[], list[Remembered]]) -> None:
        self._owed[row].append(self._beside.submit(work))

    def _disown(self, row: int) -> None:
        for owed in self._owed[row]:
            owed.cancel()
        self._owed[row].clear()

    def _settle(self, row: int) -> None:
        for owed in self._owed[row]:
            for remembered in owed.result():
                self._state.push_memory(row, *remembered)
        self._owed[row].clear()

    # -- hearing and speaking ------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, rows: list[int], audio: Floats) -> Codes:
        """The codec's codes uint16 [n, levels, k] of k frames of each row, audio float32 [n, k hop]."""
        at = torch.tensor(rows, device=self._device)
        batch = self._ears.gather(at)
        codes = self.codec.encode_stream(torch.from_numpy(audio).to(self._device), batch)
        self._ears.scatter(at, batch)
        return codes.to("cpu", torch.int32).numpy().astype(np.uint16)

    @torch.inference_mode()
    def listen(self, rows: list[int], codes: Codes) -> None:
        """Frames of questions, codes uint16 [n, levels, k]."""
        self.model.listen(torch.from_numpy(codes.astype(np.int64)).to(self._device), self._state, rows)

    @torch.inference_mode()
    def read_next(self, row: int) -> None:
        """The question may be over: the next of the two pieces of what `begin` does without the memory."""
        self.model.read_next(self._state, row)

    def has_read(self, row: int) -> bool:
        """Whether both are done, and nothing was heard since."""
        return self.model.has_read(self._state, row)

    @torch.inference_mode()
    def begin(self, rows: list[int], voices: list[Voice], seeds: list[int]) -> None:
        """The questions are over, or so it seems: get ready to answer."""
        for row in rows:
            self._settle(row)
        self._mouth.reset(self._mask(rows))
        conditions = Conditions.cat([self.conditions(voice) for voice in voices]).to(self._device)
        self.model.begin(self._state, rows, conditions, seeds, self._sampling)

    @torch.inference_mode()
    def restyle(self, row: int, voice: Voice) -> None:
        """The rest of the answer that is being made sounds otherwise."""
        self.model.restyle(self._state, [row], self.conditions(voice).to(self._device))

    @torch.inference_mode()
    def rewind(self, rows: list[int]) -> None:
        """Undo `begin`: the questions go on."""
        self._state.rewind(rows)

    @torch.inference_mode()
    def step(self, rows: list[int]) -> Made:
        """The next frame of each row's answer; `decode` makes it sound."""
        started = time.perf_counter_ns()
        codes, ended = self.model.step(self._state, rows, self._sampling)
        codes = codes.clamp(max=self.codec.config.codebook_size - 1)
        codes_out = codes.to("cpu", torch.int32).numpy().astype(np.uint16)
        return Made(codes_out, list(ended), (time.perf_counter_ns() - started) // 1000)

    @torch.inference_mode()
    def decode(self, rows: list[int], codes: Codes) -> npt.NDArray[np.int16]:
        """PCM16 [n, k hop] of the k frames that `step` made next for these rows, codes uint16 [n, levels, k]. Each
        frame once.
        """
        at = torch.tensor(rows, device=self._device)
        batch = self._mouth.gather(at)
        audio = self.codec.decode_stream(self._codes(codes), batch)
        self._mouth.scatter(at, batch)
        scaled = audio.float().nan_to_num(0.0).mul(PCM_SCALE).round().clamp(-PCM_SCALE, PCM_SCALE - 1)
        pcm: npt.NDArray[np.int16] = scaled.to(torch.int16).cpu().numpy()
        return pcm

    # -- inside --------------------------------------------------------------------------------------------

    def conditions(self, voice: Voice) -> Conditions:
        """A voice in the model's terms; speakers and emotions that it does not know count as not given."""
        weights = [0.0] * len(self.speakers)
        for slug, weight in voice.speakers.items():
            if slug in self.speakers:
                weights[self.speakers[slug]] += weight
        if not any(weights):
            weights = [1.0] * len(weights)
        return Conditions.one(
            weights,
            self.emotions.get(voice.emotion, 0),
            intensity=voice.intensity,
            pitch=voice.pitch_semitones,
            energy=voice.energy_db,
            rate=voice.rate,
            accent=voice.accent,
            n_speakers=len(weights),
        )

    def _codes(self, codes: Codes) -> torch.Tensor:
        return torch.from_numpy(codes.astype(np.int64)).to(self._device)

    def _mask(self, rows: list[int]) -> torch.Tensor:
        mask = torch.zeros(self._capacity, dtype=torch.bool)
        mask[rows] = True
        return mask.to(self._device)


def _begin_beside() -> None:
    """The thread that sums turns up: one core, and the device thread, which started it, goes first."""
    torch.set_num_threads(1)
    give_way()
