"""The recogniser as others use it: audio in, phones and approximate Telugu text out, whole files or streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError
from ml.codec.config import ConfigError
from ml.codec.layers import Snake, fold_weight_norm
from ml.codec.streaming import StreamState
from ml.data.synthesis.phones import PHONES
from ml.recogniser.captions import Caption, Captioner
from ml.recogniser.config import RecogniserConfig
from ml.recogniser.decode import SILENT, collapse
from ml.recogniser.model import BLANK, PhoneNet
from ml.shipped import read_shipped, write_shipped


@dataclass
class RecogniserState:
    """Streams of a batch of rows: the network's look-back and the last class of each row."""

    net: StreamState
    last: Tensor
    """int64 [rows]."""

    def reset(self, rows: Tensor | None = None) -> None:
        """Start `rows` (bool `[rows]`; all when None) anew."""
        self.net.reset(rows)
        if rows is None:
            self.last.fill_(BLANK)
        else:
            self.last[rows] = BLANK

    def gather(self, rows: Tensor) -> RecogniserState:
        """A new state of `rows` (int64 `[n]`) only."""
        return RecogniserState(self.net.gather(rows), self.last[rows])

    def scatter(self, rows: Tensor, picked: RecogniserState) -> None:
        """Write `picked` back to `rows` (int64 `[n]`)."""
        self.net.scatter(rows, picked.net)
        self.last[rows] = picked.last


class Recogniser:
    """Weights and captioner; not to be called from two threads at once."""

    def __init__(self, net: PhoneNet, captioner: Captioner | None = None) -> None:
        self.net = net.eval()
        self.config = net.config
        self._captioner = captioner

    @classmethod
    def load(cls, path: Path | None = None, device: str | torch.device = "cpu") -> Recogniser:
        """The recogniser stored at `path` with its card (the shipped one by default). Raises CheckpointError."""
        path = path or WEIGHTS_DIR / "recogniser.safetensors"
        card, tensors = read_shipped(path)
        if card.get("phones") != list(PHONES):
            raise CheckpointError(f"weights {path} were trained for another phone inventory; train them again")
        try:
            net = PhoneNet(RecogniserConfig.from_dict(card["config"]))
            fold_weight_norm(net)
            net.load_state_dict(tensors)
        except (ConfigError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"weights {path} do not fit their card: {error}") from None
        return cls(frozen(net).to(device))

    @property
    def captioner(self) -> Captioner:
        """Text for phones; made from the shipped corpus at first use."""
        if self._captioner is None:
            self._captioner = Captioner.of_corpus()
        return self._captioner

    # -- whole clips -------------------------------------------------------------------------------------

    @torch.inference_mode()
    def heard(self, clips: Sequence[NDArray[np.float32]]) -> list[list[str]]:
        """Everything recognised in each of `clips` (float32 [T], 16 kHz): phones, `sil`, `breath`, `laugh`."""
        if not clips:
            return []
        device = next(self.net.parameters()).device
        longest = max(1, *(len(clip) for clip in clips))
        audio = torch.zeros(len(clips), longest)
        for row, clip in enumerate(clips):
            audio[row, : len(clip)] = torch.from_numpy(np.nan_to_num(clip))
        paths = self.net.head(self.net.body(self.net.features(audio.to(device)))).argmax(-1).cpu().numpy()
        return [
            [PHONES[i] for i in collapse(path[: self.net.frames_of(len(clip))].tolist(), BLANK)]
            for path, clip in zip(paths, clips, strict=True)
        ]

    def phones(self, audio: NDArray[np.float32]) -> list[str]:
        """Phones of the words in `audio` (float32 [T], 16 kHz mono), without pauses and laughter."""
        return words_only(self.heard([audio])[0])

    def caption(self, phones: Sequence[str]) -> str:
        """Telugu text for phones; approximate (see `ml.recogniser.captions`)."""
        return self.captioned(phones).text

    def captioned(self, phones: Sequence[str]) -> Caption:
        """As `caption`, with how near the text is and whether the corpus has it."""
        return self.captioner.caption(phones)

    # -- streams -----------------------------------------------------------------------------------------

    def state(self, rows: int = 1) -> RecogniserState:
        """A fresh state for `rows` streams."""
        return RecogniserState(self.net.streaming_state(rows), torch.full((rows,), BLANK))

    @torch.inference_mode()
    def step(self, audio: Tensor, state: RecogniserState, mask: Tensor | None = None) -> list[list[str]]:
        """Feed whole frames `[rows, n * 320]`; returns what each row newly recognised (rows out of `mask`: nothing)."""
        rows, samples = audio.shape
        if samples == 0 or samples % self.config.hop:
            raise ValueError(f"audio must be whole frames of {self.config.hop} samples, got {samples}")
        live = torch.ones(rows, dtype=torch.bool) if mask is None else mask
        frames = audio.view(rows, -1, self.config.hop)
        stream = state.net.step(mask)
        paths = self.net.head(self.net.body(self.net.mel(frames, stream), stream)).argmax(-1)
        new: list[list[str]] = []
        for row, path in enumerate(paths.tolist()):
            if not live[row]:
                new.append([])
                continue
            new.append([PHONES[i] for i in collapse(path, BLANK, int(state.last[row]))])
            state.last[row] = path[-1]
        return new


def words_only(symbols: Sequence[str]) -> list[str]:
    """Symbols without pauses, breath and laughter."""
    silent = {PHONES[i] for i in SILENT}
    return [symbol for symbol in symbols if symbol not in silent]


def frozen(net: PhoneNet) -> PhoneNet:
    """Folded, with the activations' constants computed: the form for inference."""
    fold_weight_norm(net)
    for module in net.modules():
        if isinstance(module, Snake):
            module.freeze()
    return net.eval()


def export_recogniser(net: PhoneNet, path: Path, card: dict[str, Any], dtype: torch.dtype = torch.float16) -> None:
    """Write inference weights of `net` (folded in place) and their card, each by write-and-rename."""
    tensors = {k: v.detach().to("cpu", dtype).contiguous() for k, v in frozen(net).state_dict().items()}
    write_shipped(path, tensors, {**card, "config": net.config.to_dict(), "phones": list(PHONES)})
