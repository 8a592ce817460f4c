"""Reading phones off codes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.audio.io import AudioError, write_audio
from ml.codec import CodecConfig, TeluCodec
from ml.evaluate.phones import edit_distance, evaluate_phones


def slow_distance(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row, last = [i], row
        for j, y in enumerate(b, start=1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


@given(st.lists(st.integers(0, 4), max_size=9), st.lists(st.integers(0, 4), max_size=9))
@settings(deadline=None)
def test_edit_distance_is_levenshteins(a: list[int], b: list[int]) -> None:
    assert edit_distance(a, b) == slow_distance(a, b)


def test_phones_that_sound_different_are_told_apart_by_their_codes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = TeluCodec(dataclasses.replace(CodecConfig.named("tiny-dialogue"), codebook_size=32))
    rng = np.random.default_rng(0)
    paths, heard = [], []
    for clip in range(4):
        loud = rng.permutation(np.repeat([0, 1], 5))
        audio = np.concatenate([rng.standard_normal(6_400) * (0.2 if on else 0.002) for on in loud]).astype(np.float32)
        path = tmp_path / f"{clip}.wav"
        write_audio(path, audio)
        rows = [["s" if on else "m", 0.4 * i, 0.4 * (i + 1)] for i, on in enumerate(loud)]
        path.with_suffix(".json").write_text(json.dumps({"phones": rows}))
        paths.append(path)
        heard.append(torch.from_numpy(audio))
    codec.quantizer.start(codec(torch.stack(heard), False).latents.detach().flatten(0, 1))
    codec.fold()
    result = evaluate_phones(codec, paths[:2], paths[2:])
    assert result["half_frame_accuracy"] > 0.8 > 0.7 > result["half_frame_accuracy_by_chance"]


def test_clips_without_phones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, np.zeros(16_000, np.float32))
    codec = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    with pytest.raises(AudioError, match="synthesise some first"):
        evaluate_phones(codec, [path], [path])
