"""Parts of ingest on their own: tables, streamed rows, repeats, splits, levels, cutting."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ml.data.ingest.clips import clipped_share, cut_file, levels, lufs
from ml.data.ingest.huggingface import HuggingFaceSource, explained, rows_to_items
from ml.data.ingest.likeness import duplicates, fingerprint
from ml.data.ingest.sources import open_source
from ml.data.ingest.splits import split_speakers
from ml.data.ingest.tables import Told, read_tables, speaker_by_name
from ml.data.ingest.types import IngestError, IngestOptions, LeftOut
from tests.ml.data.ingest.conftest import Floats


def test_tables_of_the_known_corpora(tmp_path: Path) -> None:
    voice = tmp_path / "train.tsv"
    voice.write_text('client_id\tpath\tsentence\nabc\tx_1.mp3\tఒక "మాట"\n', encoding="utf-8")
    index = tmp_path / "line_index.tsv"
    index.write_text("tef_01234_0001\tరెండో మాట\ntef_01234_0002\tమూడో మాట\n", encoding="utf-8")
    (tmp_path / "transcription.txt").write_text("0001_utt నాలుగో మాట\n", encoding="utf-8")
    told = read_tables([voice, index, tmp_path / "transcription.txt", tmp_path / "absent.tsv"])
    assert told["x_1"] == Told("abc", 'ఒక "మాట"', "train")
    assert told["tef_01234_0001"].text == "రెండో మాట"
    assert told["0001_utt"] == Told("0001", "నాలుగో మాట")
    assert speaker_by_name(Path("a/tef_01234_0001.wav")) == "tef_01234"
    assert speaker_by_name(Path("a/61-70968-0001.flac")) == "61"
    assert speaker_by_name(Path("session-7/x.flac")) == "session-7"
    assert speaker_by_name(Path("a/whatever.wav")) == ""


def test_common_voice_folder(shared_data: Path, tmp_path: Path) -> None:
    source = open_source(str(shared_data / "common_voice_te"), IngestOptions())
    items = list(source.items(tmp_path, []))
    assert len(items) == 80
    assert all(item.text for item in items)


def test_streamed_rows(say: Callable[[int], Floats], wav_bytes: Callable[[Floats], bytes], tmp_path: Path) -> None:
    sound = wav_bytes(say(1))
    rows = [
        {"audio": {"bytes": sound, "path": "a.wav"}, "speaker_id": 17, "text": "మాట"},
        {"audio": {"bytes": None, "path": "/etc/passwd"}, "text": "a path is not followed"},
        {"audio_filepath": {"bytes": sound, "path": None}, "transcript": "రెండు"},
        {"audio": {"bytes": sound, "path": "b.wav"}},
    ]
    left_out: list[LeftOut] = []
    items = []
    for item in rows_to_items(rows, tmp_path, 3, "validation", left_out):
        assert item.path.read_bytes() == sound
        items.append(item)
    assert [(i.speaker, i.text, i.split) for i in items] == [("17", "మాట", "validation"), ("", "రెండు", "validation")]
    assert [one.file for one in left_out] == ["row-0000001"]
    assert not list(tmp_path.iterdir())


def test_the_hubs_refusals_are_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "accept its terms" in explained("ai4bharat/Kathbath", RuntimeError("Dataset is a gated dataset on the Hub"))
    assert "accept its terms" in explained("x/y", RuntimeError("401 Client Error: Unauthorized"))
    assert "cannot be reached" in explained("x/y", ConnectionError("Failed to resolve host"))
    assert "check the name" in explained("x/y", FileNotFoundError("Dataset x/y doesn't exist"))
    with pytest.raises(IngestError, match="OWNER/NAME"):
        HuggingFaceSource.named("hf:", IngestOptions())
    source = HuggingFaceSource.named("hf:ai4bharat/Kathbath:telugu:valid", IngestOptions())
    assert (source.name, source.config, source.split) == ("ai4bharat/Kathbath", "telugu", "valid")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(IngestError, match="pip install datasets"):
        list(source.items(tmp_path, []))


def test_same_recording_is_found_through_level_noise_and_cut(say: Callable[[int], Floats]) -> None:
    rng = np.random.default_rng(1)
    clips = [say(n) for n in range(12)]
    changed = [
        np.asarray(0.3 * clips[0], np.float32),
        np.asarray(clips[1][480:-320] + 0.003 * rng.standard_normal(len(clips[1]) - 800), np.float32),
        np.asarray(clips[2] ** 3 / np.abs(clips[2]).max() ** 2 * 0.2 + clips[2], np.float32),
    ]
    every = clips + changed
    found = duplicates([fingerprint(c) for c in every], [len(c) / 16_000 for c in every])
    assert found == {12: 0, 13: 1, 14: 2}
    assert duplicates([], []) == {}


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.floats(0.5, 500.0), min_size=1, max_size=60),
    st.integers(0, 3),
)
def test_speakers_are_in_one_split_and_stay_there(seconds: dict[str, float], more: int) -> None:
    first = split_speakers(seconds, {}, {})
    assert set(first) == set(seconds)
    assert "train" in first.values()
    if len(seconds) >= 3:
        assert set(first.values()) == {"train", "validation", "test"}
    grown = seconds | {f"new{n}": 10.0 for n in range(more)}
    second = split_speakers(grown, first, {})
    assert {s: second[s] for s in seconds} == first


def test_many_speakers_come_out_as_8_1_1() -> None:
    rng = np.random.default_rng(0)
    seconds = {f"s{n}": float(rng.uniform(20, 200)) for n in range(100)}
    split = split_speakers(seconds, {}, {"s3": "test"})
    total = sum(seconds.values())
    shares = {w: sum(seconds[s] for s in split if split[s] == w) / total for w in ("train", "validation", "test")}
    assert split["s3"] == "test"
    assert abs(shares["train"] - 0.8) < 0.02
    assert abs(shares["validation"] - 0.1) < 0.02


def test_measures_on_signals_that_are_known() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(48_000) / 16_000
    voiced = np.where((time % 1.0) < 0.7, np.sin(2 * np.pi * 200 * time), 0.0)
    for wanted in (10.0, 20.0, 30.0):
        noise = rng.standard_normal(len(time)) * np.sqrt(0.5) * 10 ** (-wanted / 20)
        level, snr = levels((0.5 * (voiced + noise)).astype(np.float32))
        assert abs(snr - wanted) < 3.0
        assert abs(level + 9.0) < 1.5
    assert clipped_share((0.5 * voiced).astype(np.float32)) < 0.001
    assert clipped_share(np.clip(3 * voiced, -1, 1).astype(np.float32)) > 0.3
    # BS.1770: a 997 Hz sine at 0 dBFS is -3.01 LUFS
    assert abs(lufs(np.sin(2 * np.pi * 997 * time).astype(np.float32)) + 3.01) < 0.15


def test_long_speech_is_cut_where_it_is_quiet(say: Callable[[int], Floats], tmp_path: Path) -> None:
    pieces = [say(n)[4_000:-4_000] for n in range(9)]
    long = np.concatenate(pieces)
    soundfile.write(tmp_path / "long.wav", long, 16_000)
    clips = list(cut_file(tmp_path / "long.wav", IngestOptions(max_seconds=6.0)))
    assert all(clip.seconds <= 6.3 for clip in clips)
    assert sum(clip.seconds for clip in clips) > 0.8 * len(long) / 16_000
    starts = [clip.start for clip in clips]
    assert starts == sorted(starts)
