"""Speaker embeddings: the reference's numbers, voices told apart, files."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml.audio.io import read_audio
from ml.data.corpus.loader import load_corpus
from ml.data.speakers import SpeakerError, cluster, embed, ingested_speakers, mean_of, read_embeddings, write_embeddings
from ml.data.synthesis import VOICES, festival, speak


def test_real_speakers_are_told_apart(shared_data: Path) -> None:
    by_speaker: dict[str, list[Path]] = {}
    for path in sorted((shared_data / "speech" / "librispeech").glob("*.flac")):
        by_speaker.setdefault(path.stem.split("-")[0], []).append(path)
    several = {name: paths[:3] for name, paths in by_speaker.items() if len(paths) >= 3}
    chosen = dict(list(several.items())[:5])
    labels = [name for name, paths in chosen.items() for _ in paths]
    found = cluster([embed(read_audio(path)) for paths in chosen.values() for path in paths])
    assert len(set(found)) == len(chosen)
    assert len(set(zip(labels, found, strict=True))) == len(chosen)


def test_the_four_voices_are_four_people() -> None:
    if not festival.installed():
        pytest.skip("Festival's Telugu voice is not installed (apt-get install festival festival-te festvox-te-nsk)")
    texts = [answer.text for answer in load_corpus().answers()[:8]]
    vectors = {voice: [embed(speak(text, voice=voice).audio) for text in texts] for voice in VOICES}
    halves = {voice: (mean_of(held[::2]), mean_of(held[1::2])) for voice, held in vectors.items()}
    for voice, (one, other) in halves.items():
        strangers = [float(one @ v) for name, pair in halves.items() if name != voice for v in pair]
        assert float(one @ other) > max(strangers), voice


def test_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = {name: mean_of([rng.standard_normal(256).astype(np.float32)]) for name in ("ravi", "in/గీత")}
    write_embeddings(tmp_path, vectors, {"ravi": {"source": "synthesis"}})
    again = read_embeddings(tmp_path)
    for name, vector in vectors.items():
        np.testing.assert_array_equal(again[name], vector)
        assert abs(np.linalg.norm(again[name]) - 1.0) < 1e-5
    told = json.loads((tmp_path / "speaker_embeddings.json").read_text())
    assert told["speakers"]["ravi"]["source"] == "synthesis"
    assert len(told["speakers"]["in/గీత"]["embedding"]) == told["dimension"] == 256
    with pytest.raises(SpeakerError, match="data speakers"):
        read_embeddings(tmp_path / "absent")
    with pytest.raises(SpeakerError, match="folder of an ingest"):
        ingested_speakers(tmp_path)


def test_cluster_of_nothing_and_of_one() -> None:
    assert cluster([]) == []
    assert cluster([np.eye(256, dtype=np.float32)[0]]) == [0]
    axes = np.eye(256, dtype=np.float32)
    assert cluster([axes[0], axes[1], axes[0], axes[2], axes[1]]) == [0, 1, 0, 2, 1]
