"""TeluCodec: a causal neural speech codec that runs at its frame rate.

Samples are cut into frames of one hop; an analysis convolution over a few frames (a lapped transform that is
learned), residual units, a projection to a small space with residual vector quantization, the mirror image, and an
overlap-add head. Everything is causal. The decoder's target is the input delayed by `delay_frames`, which gives
encoder and decoder together that much look-ahead: spending it as output delay keeps streaming exactly equal to
offline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.config import CodecConfig
from ml.codec.harmonic import HarmonicDecoder
from ml.codec.layers import CausalConv, Level, ResidualUnit, Snake, Stateful, fold_weight_norm
from ml.codec.levels import BandLevels
from ml.codec.quantizer import Quantized, ResidualQuantizer
from ml.codec.spectral import SpectralEncoder
from ml.codec.streaming import StreamState

_NOT_FINITE = "audio holds NaN or infinite samples; repair or cut them before encoding"


class CodecInputError(ValueError):
    """Audio or codes of a shape or kind that the codec cannot take; the message says what it needs."""


class Encoder(nn.Module):
    """Frames of samples `[B, F, hop]` to latent vectors `[B, F, code_dim]`."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.level = Level("encoder.level", config.patch_taps) if config.companding else None
        inputs = config.hop + 1 if config.companding else config.hop
        self.patch = CausalConv("encoder.patch", inputs, width, config.patch_taps)
        self.units = nn.ModuleList(
            ResidualUnit(f"encoder.{i}", width, config.hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.encoder_dilations)
        )
        self.act = Snake(width)
        self.project = CausalConv("encoder.project", width, config.code_dim, 1)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        if self.level is not None:
            frames = self.level(frames, state)
        x = self.patch(frames, state).to(frames.dtype)
        for unit in self.units:
            x = unit(x, state)
        return self.project(self.act(x))


class Decoder(nn.Module):
    """Latent vectors `[B, F, code_dim]` to frames of samples `[B, F, hop]`."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.project = CausalConv("decoder.project", config.code_dim, width, 3)
        self.units = nn.ModuleList(
            ResidualUnit(f"decoder.{i}", width, config.hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.decoder_dilations)
        )
        self.act = Snake(width)
        self.gain = CausalConv("decoder.gain", width, 1, 1) if config.companding else None
        self.head = CausalConv("decoder.head", width, config.hop, config.head_taps)

    def forward(self, latents: Tensor, state: StreamState | None = None) -> tuple[Tensor, Tensor]:
        """Frames, and the hidden state `[B, F, decoder_width]` that they were made of."""
        x = self.project(latents, state).to(latents.dtype)
        for unit in self.units:
            x = unit(x, state)
        hidden = x = self.act(x)
        if self.gain is not None:
            x = x * self.gain(x).clamp(-9.0, 4.0).exp()  # every frame's share of the overlap-add has its own level
        return self.head(x, state), hidden


class Waveform(NamedTuple):
    """What the waveform codebooks decode to, before levels."""

    frames: Tensor  # [B, F, hop]
    hidden: Tensor  # [B, F, decoder_width]


class CodecPass(NamedTuple):
    """What training needs from one pass."""

    audio: Tensor  # [B, T], delayed
    quantized: Quantized | None
    latents: Tensor  # [B, F, code_dim], before the quantizer
    octaves: Tensor | None  # [B, J], decoded pitch in octaves above the floor, by a harmonic head
    levels: Quantized | None = None  # of the codebook of levels, where there is one and it has started
    level_latents: Tensor | None = None  # [B, F, level_bands], before that codebook
    bare: Tensor | None = None  # [B, T], without levels and half a hop less delayed


@dataclass
class CodecState:
    """Streaming state of both directions for a batch of rows."""

    encoder: StreamState
    decoder: StreamState

    def reset(self, rows: Tensor | None = None) -> None:
        """Start `rows` (bool `[batch]`; all when None) anew."""
        self.encoder.reset(rows)
        self.decoder.reset(rows)

    def gather(self, rows: Tensor) -> CodecState:
        """A new state of `rows` (int64 `[n]`) only, so that a step need not compute idle rows."""
        return CodecState(self.encoder.gather(rows), self.decoder.gather(rows))

    def scatter(self, rows: Tensor, picked: CodecState) -> None:
        """Write `picked` back to `rows` (int64 `[n]`)."""
        self.encoder.scatter(rows, picked.encoder)
        self.decoder.scatter(rows, picked.decoder)


class TeluCodec(nn.Module):
    """Neural codec of one `CodecConfig`; see the module for its make-up and `CodecConfig` for its shape."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(config) if config.front == "spectral" else Encoder(config)
        self.quantizer = ResidualQuantizer(
            config.waveform_quantizers,
            config.codebook_size,
            config.code_dim,
            decay=config.ema_decay,
            dropout=config.quantizer_dropout,
            l2_normalize=config.l2_normalize,
            revival=config.revival,
            beam=config.beam,
        )
        self.decoder = HarmonicDecoder(config) if config.head == "harmonic" else Decoder(config)
        self.levels = BandLevels(config) if config.level_bands else None

    # -- offline -----------------------------------------------------------------------------------------

    def encode(self, audio: Tensor) -> Tensor:
        """Audio `[B, T]` in [-1, 1] to codes int64 `[B, Q, F]`, F = ceil((T + delay_samples) / hop).

        The last frames flush the look-ahead, so that `decode` can return all T samples.
        """
        audio = self._checked(audio)
        delay = self.config.delay_samples
        pad = -(audio.shape[1] + delay) % self.config.hop + delay
        return self._codes(self._frames(functional.pad(audio, (0, pad))))[0]

    def decode(self, codes: Tensor, n_quantizers: int | Tensor | None = None) -> Tensor:
        """Codes int64 `[B, Q, F]` to audio `[B, F * hop - delay_samples]`, aligned with what was encoded."""
        self._check_codes(codes)
        return self._samples(self._decoded(codes, n_quantizers))[:, self.config.delay_samples :]

    def reconstruct(self, audio: Tensor, n_quantizers: int | Tensor | None = None) -> Tensor:
        """`decode(encode(audio))`, cut to the length of `audio` `[B, T]`."""
        return self.decode(self.encode(audio), n_quantizers)[:, : audio.shape[1]]

    # -- streaming ---------------------------------------------------------------------------------------

    def streaming_state(self, batch: int) -> CodecState:
        """A fresh state for `batch` rows, on the device of the weights."""
        state = CodecState(StreamState(batch), StreamState(batch))
        parts: list[tuple[nn.Module, StreamState]] = [(self.encoder, state.encoder), (self.decoder, state.decoder)]
        if self.levels is not None:  # the encoder hears what the decoder will make of the other codebooks
            parts += [(self.decoder, state.encoder), (self.levels, state.encoder), (self.levels, state.decoder)]
        for part, stream in parts:
            for module in part.modules():
                if isinstance(module, Stateful):
                    module.allocate(stream, self.quantizer.codebooks)
        return state

    def encode_stream(self, audio: Tensor, state: CodecState, mask: Tensor | None = None) -> Tensor:
        """Next n frames of audio `[B, n * hop]` to codes `[B, Q, n]`; rows outside `mask` keep their state.

        Raises CodecInputError before any state has changed: a sample that is no number would stay in it.
        """
        return self.encode_aloud(audio, state, mask)[0]

    def encode_aloud(
        self, audio: Tensor, state: CodecState, mask: Tensor | None = None
    ) -> tuple[Tensor, Waveform | None]:
        """As `encode_stream`; also what the encoder decoded on the way, where it did, for `decode_stream`."""
        if audio.dim() != 2 or audio.shape[1] % self.config.hop:
            raise CodecInputError(
                f"encode_stream takes [batch, n * {self.config.hop}] samples, got {tuple(audio.shape)}"
            )
        stream = state.encoder.step(mask)
        if not torch.isfinite(audio if mask is None else audio[mask]).all():
            raise CodecInputError(_NOT_FINITE)
        return self._codes(self._frames(audio), stream)

    def decode_stream(
        self,
        codes: Tensor,
        state: CodecState,
        n_quantizers: int | Tensor | None = None,
        mask: Tensor | None = None,
        waveform: Waveform | None = None,
    ) -> Tensor:
        """Next n frames of codes `[B, Q, n]` to audio `[B, n * hop]`, which lags by `config.delay_samples`.

        `waveform` is what `encode_aloud` decoded of the same codes with the same state: where every row uses every
        codebook it is not decoded again. A row that used fewer before then goes on as if it had used all of them.
        """
        self._check_codes(codes)
        stream = state.decoder.step(mask)
        if waveform is not None and self._all_used(n_quantizers):
            for key, buffer in state.encoder.buffers.items():
                if key.startswith("decoder."):
                    stream.store(key, buffer)
            return self._samples(self._corrected(codes, n_quantizers, waveform, stream))
        return self._samples(self._decoded(codes, n_quantizers, stream))

    # -- training ----------------------------------------------------------------------------------------

    def forward(
        self,
        audio: Tensor,
        quantize: bool = True,
        generator: torch.Generator | None = None,
        pitch: Tensor | None = None,
    ) -> CodecPass:
        """Audio `[B, T]` (T a multiple of hop) through the whole codec, delayed by `delay_samples`.

        `pitch` (Hz, `[B, T / block]`, 0 where unknown) leads the harmonic head while it learns its envelopes.
        """
        heard = self._frames(audio)
        latents = self.encoder(heard).float()
        with torch.autocast(audio.device.type, enabled=False):  # nearest neighbours and averages need fp32
            quantized = self.quantizer(latents, generator) if quantize else None
        vectors = latents if quantized is None else quantized.vectors
        if isinstance(self.decoder, HarmonicDecoder):
            frames, octaves = self.decoder.render(vectors, pitch=pitch)
            return CodecPass(self._samples(frames.float()), quantized, latents, octaves)
        frames, hidden = self.decoder(vectors)
        if self.levels is None:
            return CodecPass(self._samples(frames.float()), quantized, latents, None)
        with torch.autocast(audio.device.type, enabled=False):
            frames, hidden = frames.float(), hidden.float()
            # What levels are read from is not bent to suit them.
            wanted = self.levels.analyse(heard, frames.detach(), hidden.detach())
            levels = (
                self.levels.quantizer(wanted, generator) if quantize and bool(self.levels.quantizer.ready) else None
            )
            used = torch.ones(len(audio), dtype=torch.bool, device=audio.device)
            bare = self._samples(frames)
            frames = self.levels.correct(
                frames,
                hidden.detach(),
                wanted if levels is None else levels.vectors,
                used if quantized is None else quantized.whole,
            )
        return CodecPass(self._samples(frames), quantized, latents, None, levels, wanted, bare)

    @property
    def ready(self) -> bool:
        """Whether every codebook has started."""
        return bool(self.quantizer.ready) and (self.levels is None or bool(self.levels.quantizer.ready))

    def fold(self) -> TeluCodec:
        """Fold weight normalisation for inference; returns self in eval mode without gradients."""
        fold_weight_norm(self)
        return self.freeze()

    def freeze(self) -> TeluCodec:
        """Eval mode without gradients, constants computed once; call again after loading other weights."""
        for module in self.modules():
            if isinstance(module, Snake | ResidualQuantizer):
                module.freeze()
        if isinstance(self.decoder, HarmonicDecoder):
            self.decoder.pitch.precise()
        return self.eval().requires_grad_(False)

    # -- helpers -----------------------------------------------------------------------------------------

    def _frames(self, audio: Tensor) -> Tensor:
        return audio.reshape(audio.shape[0], -1, self.config.hop) * self.config.input_gain

    def _codes(self, frames: Tensor, stream: StreamState | None = None) -> tuple[Tensor, Waveform | None]:
        codes = self.quantizer.encode(self.encoder(frames, stream))
        if self.levels is None:
            return codes, None
        decoded, hidden = self.decoder(self.quantizer.decode(codes), stream)
        wanted = self.levels.analyse(frames, decoded, hidden, stream)
        return torch.cat([codes, self.levels.quantizer.track(wanted, stream)], dim=1), Waveform(decoded, hidden)

    def _all_used(self, n_quantizers: int | Tensor | None) -> bool:
        return n_quantizers is None or bool((torch.as_tensor(n_quantizers) >= self.config.n_quantizers).all())

    def _decoded(self, codes: Tensor, n_quantizers: int | Tensor | None, stream: StreamState | None = None) -> Tensor:
        if isinstance(self.decoder, HarmonicDecoder):
            return self.decoder(self.quantizer.decode(codes, n_quantizers), stream)
        if self.levels is None:
            return self.decoder(self.quantizer.decode(codes, n_quantizers), stream)[0]
        own = codes[:, : self.config.waveform_quantizers]
        decoded = Waveform(*self.decoder(self.quantizer.decode(own, n_quantizers), stream))
        return self._corrected(codes, n_quantizers, decoded, stream)

    def _corrected(
        self, codes: Tensor, n_quantizers: int | Tensor | None, decoded: Waveform, stream: StreamState | None
    ) -> Tensor:
        assert self.levels is not None
        batch, levels, _ = codes.shape
        waveform = self.config.waveform_quantizers
        limit = torch.as_tensor(levels if n_quantizers is None else n_quantizers, device=codes.device).expand(batch)
        # Without its codebook a row's levels stay as they are; the shape of the step does not change for it.
        last = codes[:, waveform:] if levels > waveform else codes.new_zeros(batch, 1, codes.shape[2])
        used = limit.clamp(max=levels) > waveform
        return self.levels.correct(*decoded, self.levels.quantizer.trace(last, stream), used, stream)

    def _samples(self, frames: Tensor) -> Tensor:
        return frames.reshape(frames.shape[0], -1) / self.config.input_gain

    def _checked(self, audio: Tensor) -> Tensor:
        if audio.dim() != 2 or audio.shape[1] == 0:
            raise CodecInputError(f"encode takes mono audio [batch, samples >= 1], got {tuple(audio.shape)}")
        if not torch.isfinite(audio).all():
            raise CodecInputError(_NOT_FINITE)
        return audio

    def _check_codes(self, codes: Tensor) -> None:
        if codes.dim() != 3 or codes.dtype != torch.int64:
            raise CodecInputError(f"codes are int64 [batch, levels, frames], got {codes.dtype} {tuple(codes.shape)}")
        if codes.shape[1] > self.config.n_quantizers:
            raise CodecInputError(f"codes have {codes.shape[1]} levels, this codec has {self.config.n_quantizers}")
