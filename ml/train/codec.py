"""Training of TeluCodec: `python -m ml train codec`."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ml.codec.config import ConfigError
from ml.codec.harmonic import PITCH_FLOOR
from ml.codec.layers import folded, unfolded
from ml.codec.levels import TrackingQuantizer, with_room_for_levels
from ml.codec.losses import (
    band_error_ratio_db,
    envelope_correlation,
    error_ratio_db,
    level_distance,
    mel_distance,
    stft_distance,
)
from ml.codec.loudness import disturbance
from ml.codec.model import CodecPass, TeluCodec
from ml.data.synthesis.phones import PHONES
from ml.train.adversary import Adversary
from ml.train.checkpoints import (
    Checkpoint,
    ResumeError,
    latest_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from ml.train.config import CodecTrainConfig
from ml.train.data import ClipBank
from ml.train.labels import UNKNOWN
from ml.train.teacher import Teacher, load_teacher
from ml.train.workers import Workers

Report = Callable[[dict[str, Any]], None]


@dataclass
class Stop:
    """Set by SIGTERM or SIGINT: finish the step, write a checkpoint, leave."""

    asked: bool = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True

    def listen(self) -> Stop:
        signal.signal(signal.SIGTERM, self)
        signal.signal(signal.SIGINT, self)
        return self


def learning_rate(config: CodecTrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to `final_learning_rate` at the last step."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = min(1.0, (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps))
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1.0 + math.cos(math.pi * progress))


def measure(codec: TeluCodec, bank: ClipBank, levels: tuple[int, ...], seconds: float = 5.0) -> dict[str, float]:
    """SNR per number of codebooks, mel distance, envelope correlation, opinion score: means over clips' beginnings.

    Before the codebooks have started the codec is measured without them.
    """
    totals = {f"snr_db_{n}": 0.0 for n in levels} | {"mel_distance": 0.0, "envelope_correlation": 0.0, "mos": 0.0}
    quantized = codec.ready
    device = next(codec.parameters()).device
    with torch.inference_mode():
        for index in range(len(bank.lengths)):
            audio = torch.from_numpy(bank.clip(index)[: round(seconds * codec.config.sample_rate)])[None].to(device)
            audio = audio[:, : audio.shape[1] // codec.config.hop * codec.config.hop]
            codes = codec.encode(audio) if quantized else None
            for n in levels:
                if codes is not None:
                    decoded = codec.decode(codes, n)[:, : audio.shape[1]]
                else:
                    started = bool(codec.quantizer.ready)
                    passed = codec(torch.nn.functional.pad(audio, (0, codec.config.hop)), started).audio
                    decoded = passed[:, codec.config.delay_samples :][:, : audio.shape[1]]
                totals[f"snr_db_{n}"] -= float(error_ratio_db(decoded, audio[:, : decoded.shape[1]], floor=1e-9))
            if audio.shape[1] >= 8_000:
                audio = audio[:, : decoded.shape[1]]
                totals["mel_distance"] += float(mel_distance(decoded, audio))
                totals["envelope_correlation"] += float(envelope_correlation(decoded, audio))
                totals["mos"] += float(disturbance(decoded, audio).mos)
    return {name: total / len(bank.lengths) for name, total in totals.items()}


def pitch_error(made: CodecPass, pitch: Tensor | None) -> Tensor:
    """Mean absolute error of the decoded pitch in octaves over moments whose pitch `[B, J]` (Hz) is known."""
    if made.octaves is None or pitch is None:
        raise ConfigError("loss.pitch needs a harmonic head and data loaded with labels")
    voiced = (pitch > 0).float()
    truth = torch.log2(pitch.clamp(min=PITCH_FLOOR) / PITCH_FLOOR)
    return ((made.octaves - truth).abs() * voiced).sum() / voiced.sum().clamp(min=1.0)


class CodecTrainer:
    """One run: model, average, optimizer and step counter, saved and restored together."""

    def __init__(self, config: CodecTrainConfig, run: Path, device: str, workers: Workers | None = None) -> None:
        torch.manual_seed(config.seed)
        self.workers = workers or Workers.alone()
        self.config = config
        self.run = run
        run.mkdir(parents=True, exist_ok=True)
        self.device = torch.device(device)
        self.codec = TeluCodec(config.codec).to(self.device)
        if self.workers.count > 1:
            self.codec.quantizer.collective = self.workers
            if self.codec.levels is not None:
                self.codec.levels.quantizer.collective = self.workers
        if config.init:
            self._start_from(Path(config.init))
        # Reads phones at two moments of a frame off the first codebook; only training knows it.
        self.phone_head = torch.nn.Linear(config.codec.code_dim, 2 * len(PHONES)).to(self.device)
        self.teacher: Teacher | None = None
        if config.loss.distill:
            self.teacher = load_teacher(config.teacher, config.codec.code_dim).to(self.device)
        self.trained = [
            *self.codec.parameters(),
            *(self.phone_head.parameters() if config.loss.phones else ()),
            *(self.teacher.read.parameters() if self.teacher else ()),
        ]
        fresh = {id(p) for p in (() if self.codec.levels is None else self.codec.levels.parameters())}
        groups = [
            {"params": [p for p in self.trained if id(p) not in fresh], "speed": 1.0},
            {"params": [p for p in self.trained if id(p) in fresh], "speed": config.level_speed},
        ]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            betas=(0.85, 0.99),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.adversary = (
            Adversary(config.discriminators, config.discriminator_learning_rate, config.clip, self.device, self.workers)
            if config.discriminators
            else None
        )
        self.average = {k: v.detach().clone() for k, v in self.codec.named_parameters()}
        self.step = 0
        self.best = -math.inf
        self.trained_seconds = 0.0

    def _start_from(self, path: Path) -> None:
        """From weights of an earlier run (`best.safetensors`), or shipped ones: folded, codebooks without averages."""
        own = self.codec.state_dict()
        stored = load_file(path)
        if self.codec.levels is not None and not any(name.startswith("levels.") for name in stored):
            kept = {name: value for name, value in own.items() if name.startswith("levels.")}
            stored = with_room_for_levels(folded(stored), self.config.codec) | kept
        stored = unfolded(stored, set(own))
        for prefix in ("", "levels."):
            name = f"{prefix}quantizer"
            if f"{name}.codebooks" in stored and f"{name}.counts" not in stored:
                books = stored[f"{name}.codebooks"].float()
                # as after k-means; what is hardly chosen falls within a minute
                counts = books.new_full(books.shape[:2], 3.0)
                stored |= {f"{name}.counts": counts, f"{name}.sums": books * counts[..., None]}
                stored[f"{name}.ready"] = torch.ones((), dtype=torch.bool)
        if {k: v.shape for k, v in stored.items()} != {k: v.shape for k, v in own.items()}:
            raise ConfigError(
                f"{path} holds another shape of codec; start from weights of the preset {self.config.codec.preset}"
            )
        self.codec.load_state_dict({k: v.to(own[k].dtype) for k, v in stored.items()})

    # -- one step ----------------------------------------------------------------------------------------

    def train_step(self, bank: ClipBank) -> dict[str, float]:
        """Draw the batch of this step, descend once; returns the loss terms."""
        config, weights = self.config, self.config.loss
        codec_config = config.codec
        samples = round(config.crop_seconds * codec_config.sample_rate)
        seed = config.seed + 1_000_003 * self.workers.rank  # every process has crops of its own
        batch = bank.batch(config.batch, samples, seed, self.step)
        audio = torch.from_numpy(batch.audio).to(self.device)
        pitch = None if batch.pitch is None else torch.from_numpy(batch.pitch).to(self.device)
        generator = torch.Generator(self.device).manual_seed(seed * 1_000_003 + self.step)
        quantize = bool(self.codec.quantizer.ready)
        self.codec.train()
        if config.decoder_only:
            self.codec.encoder.requires_grad_(False)
            self.codec.quantizer.eval()
        if config.levels_only:
            for part in (self.codec.encoder, self.codec.decoder):
                part.requires_grad_(False)
            self.codec.quantizer.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step) * group["speed"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.autocast):
            made: CodecPass = self.codec(audio, quantize, generator, pitch)
        output, quantized, latents = made.audio, made.quantized, made.latents
        delay = codec_config.delay_samples
        estimate, target = output[:, delay:], audio[:, : samples - delay]
        terms = {"snr": error_ratio_db(estimate, target)}
        loss = weights.snr * terms["snr"] / 10.0
        named_terms: tuple[tuple[str, float, Callable[[], Tensor]], ...] = (
            ("l1", weights.l1, lambda: (estimate - target).abs().mean()),
            ("mel", weights.mel, lambda: mel_distance(estimate, target)),
            ("stft", weights.stft, lambda: stft_distance(estimate, target)),
            ("band", weights.band, lambda: band_error_ratio_db(estimate, target) / 10.0),
            ("level", weights.level, lambda: level_distance(estimate, target)),
            ("bare", weights.bare, lambda: self._bare_loss(made, audio)),
            ("energy", weights.energy, lambda: level_distance(estimate, target, frames=1)),
            ("loudness", weights.loudness, lambda: disturbance(estimate, target).loss.mean()),
            ("envelope", weights.envelope, lambda: 1.0 - envelope_correlation(estimate, target)),
            ("pitch", weights.pitch, lambda: pitch_error(made, pitch)),
            ("phones", weights.phones, lambda: self._phone_loss(made, batch.phones)),
            ("distill", weights.distill, lambda: self._teacher_loss(made, audio)),
        )
        for name, weight, term in named_terms:
            if weight:
                terms[name] = term()
                loss = loss + weight * terms[name]
        if self.adversary is not None and self.step >= config.adversarial_from:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.autocast):
                terms["discriminator"] = self.adversary.learn(target, estimate)
                terms["adversarial"], terms["feature"] = self.adversary.judge(target, estimate)
            loss = loss + weights.adversarial * terms["adversarial"] + weights.feature * terms["feature"]
        if quantized is not None:
            terms["commitment"] = quantized.commitment
            loss = loss + weights.commitment * codec_config.commitment * quantized.commitment
        else:  # keep latents in the range where k-means will find them
            loss = loss + 1e-3 * latents.square().mean()
        if made.levels is not None:
            terms["level_commitment"] = made.levels.commitment
            loss = loss + weights.commitment * codec_config.commitment * made.levels.commitment
        elif made.level_latents is not None:
            loss = loss + 1e-3 * made.level_latents.square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [p for p in self.trained if p.requires_grad]
        self.workers.mean_([p.grad for p in trained if p.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(trained, config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            decay = min(config.average_decay, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                current = dict(self.codec.named_parameters())
                torch._foreach_lerp_(list(self.average.values()), [current[n] for n in self.average], 1 - decay)
        terms |= {"loss": loss, "grad_norm": norm}
        return {name: float(value.detach()) for name, value in terms.items()}

    def _bare_loss(self, made: CodecPass, audio: Tensor) -> Tensor:
        assert made.bare is not None  # the configuration promises levels
        codec = self.config.codec
        delay = codec.delay_samples - codec.hop // 2
        return error_ratio_db(made.bare[:, delay:], audio[:, : audio.shape[1] - delay]) / 10.0

    def _phone_loss(self, made: CodecPass, phones: np.ndarray | None) -> Tensor:
        if phones is None:
            raise ConfigError("loss.phones needs data loaded with labels")
        subframes = self.config.codec.subframes
        known = torch.from_numpy(phones).to(self.device).view(len(phones), -1, subframes)
        wanted = known[:, :, [subframes // 4, 3 * subframes // 4]].reshape(-1)
        if not bool((wanted >= 0).any()):
            return made.latents.new_zeros(())
        vectors = made.latents if made.quantized is None else made.quantized.first
        logits = self.phone_head(vectors).view(-1, len(PHONES))
        return torch.nn.functional.cross_entropy(logits, wanted, ignore_index=UNKNOWN, label_smoothing=0.05)

    def _teacher_loss(self, made: CodecPass, audio: Tensor) -> Tensor:
        assert self.teacher is not None  # the configuration promises one
        return self.teacher.distance(made.latents if made.quantized is None else made.quantized.first, audio)

    @torch.no_grad()
    def start_codebooks(self, bank: ClipBank) -> None:
        """K-means of what has not started, on about 24 latents per codebook entry; levels hear started codebooks."""
        config, levels = self.config.codec, self.codec.levels
        samples = round(self.config.crop_seconds * config.sample_rate)
        for quantizer in (self.codec.quantizer, *(() if levels is None else (levels.quantizer,))):
            if bool(quantizer.ready):
                continue
            vectors: list[Tensor] = []
            draw = 0
            self.codec.eval()
            while sum(len(v) for v in vectors) < 24 * config.codebook_size:
                audio = torch.from_numpy(bank.batch(self.config.batch, samples, self.config.seed + 7, draw).audio)
                made = self.codec(audio.to(self.device), bool(self.codec.quantizer.ready))
                if isinstance(quantizer, TrackingQuantizer):
                    assert made.level_latents is not None  # a codec with levels has them
                    vectors.append(quantizer.examples(made.level_latents))
                else:
                    vectors.append(made.latents.reshape(-1, config.code_dim))
                draw += 1
            generator = torch.Generator(self.device).manual_seed(self.config.seed)
            quantizer.start(torch.cat(vectors), generator=generator)
            self.workers.from_first_([quantizer.codebooks, quantizer.counts, quantizer.sums])

    # -- evaluation and files ----------------------------------------------------------------------------

    def averaged(self) -> TeluCodec:
        """A copy of the model with averaged weights, not folded, in eval mode."""
        copy = TeluCodec(self.config.codec).to(self.device)
        copy.load_state_dict({**self.codec.state_dict(), **self.average})
        return copy.eval()

    def validate(self, bank: ClipBank) -> dict[str, float]:
        """Figures of the averaged model on `bank`; stores it as `best.safetensors` when it is the best so far."""
        model = self.averaged()
        n = self.config.codec.n_quantizers
        figures = measure(model, bank, tuple(sorted({max(1, n // 2), n})))
        if self.config.codec.head == "harmonic":  # its phase is its own: no waveform to compare
            score = 20.0 * figures["envelope_correlation"] - 2.0 * figures["mel_distance"]
        else:  # SNR alone would prefer a model that leaves quiet bands noisy, which ears and PESQ do not forgive
            score = figures[f"snr_db_{n}"] + 8.0 * figures["mos"]
        if score > self.best and self.workers.first:
            self.best = score
            partial = self.run / "best.partial"
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, partial)
            partial.replace(self.run / "best.safetensors")
            (self.run / "best.json").write_text(
                json.dumps({"step": self.step, "trained_seconds": round(self.trained_seconds), **figures})
            )
        return figures

    def save(self) -> None:
        """Write a resumable checkpoint (the first process only)."""
        if not self.workers.first:
            return
        tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in self.codec.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        tensors |= {f"phone_head.{k}": v for k, v in self.phone_head.state_dict().items()}
        if self.teacher is not None:
            tensors |= {f"teacher_head.{k}": v for k, v in self.teacher.read.state_dict().items()}
        tensors |= optimizer_tensors(self.optimizer)
        if self.adversary is not None:
            tensors |= self.adversary.tensors()
        meta = {"config": self.config.to_dict(), "best": self.best, "trained_seconds": self.trained_seconds}
        save_checkpoint(self.run / "checkpoints", Checkpoint(self.step, tensors, meta), self.config.keep)

    def resume(self) -> bool:
        """Go on from the newest checkpoint of the run folder; False when there is none. Raises ResumeError."""
        stored = latest_checkpoint(self.run / "checkpoints")
        if stored is None:
            return False
        if CodecTrainConfig.from_dict(stored.meta["config"]) != self.config:
            raise ResumeError(f"{self.run} was started with another configuration; choose another --run folder")
        own = {k: v for k, v in stored.tensors.items() if k.startswith("model.")}
        self.codec.load_state_dict({k.removeprefix("model."): v for k, v in own.items()})
        for name in self.average:
            self.average[name].copy_(stored.tensors[f"average.{name}"])
        for prefix, module in (("phone_head.", self.phone_head), ("teacher_head.", self.teacher and self.teacher.read)):
            head = {k.removeprefix(prefix): v for k, v in stored.tensors.items() if k.startswith(prefix)}
            if head and module is not None:
                module.load_state_dict(head)
        restore_optimizer(self.optimizer, stored.tensors)
        if self.adversary is not None:
            self.adversary.restore(stored.tensors)
        self.step, self.best = stored.step, stored.meta["best"]
        self.trained_seconds = stored.meta["trained_seconds"]
        return True

    # -- the loop ----------------------------------------------------------------------------------------

    def fit(self, bank: ClipBank, validation: ClipBank, report: Report, stop: Stop, max_minutes: float) -> str:
        """Train until the schedule ends, `max_minutes` pass or `stop` is asked; returns which of these it was."""
        began = last_save = time.monotonic()
        already = self.trained_seconds
        reason = "finished"
        while self.step < self.config.steps:
            if self.step >= self.config.quantize_from and not self.codec.ready:
                self.start_codebooks(bank)
                self.best = -math.inf  # what was measured without codebooks is no rival
            terms = self.train_step(bank)
            self.step += 1
            now = time.monotonic()
            self.trained_seconds = already + now - began
            row: dict[str, Any] = {"step": self.step, "seconds": round(self.trained_seconds, 1), **terms}
            if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                row |= self.validate(validation)
            report(row)
            if self.workers.any(stop.asked or now - began > max_minutes * 60):
                reason = "stopped" if stop.asked else "time"
                break
            if now - last_save > self.config.save_every_seconds:
                self.save()
                last_save = now
        self.save()
        return reason
