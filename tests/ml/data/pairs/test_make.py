"""Rendering: what is in the folder, twice the same, and going on after kill -9."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.audio.io import read_audio
from ml.data.corpus.loader import Corpus
from ml.data.pairs.make import make_pairs
from ml.data.pairs.plan import plan_pairs
from ml.data.pairs.render import render_clip
from ml.data.pairs.sizes import SIZES, PairsError
from ml.data.pairs.sources import Sources
from ml.data.pairs.store import read_journal, read_manifest
from ml.data.synthesis import PHONE_ID, random_talker
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[4]


def test_manifest_tells_what_is_there(tiny_pairs: Path) -> None:
    head, clips, pairs = read_manifest(tiny_pairs)
    assert head["clips"] == head["planned_clips"] == len(clips)
    assert head["pairs"] == head["planned_pairs"] == len(pairs)
    by_id = {clip.id: clip for clip in clips}
    for clip in clips:
        content = (tiny_pairs / clip.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == clip.sha256
        assert clip.phones[0][1] == 0.0
        assert abs(clip.phones[-1][2] - clip.samples / 16_000) < 0.01
        assert all(symbol in PHONE_ID for symbol, _, _ in clip.phones)
        assert all(abs(a[2] - b[1]) < 0.01 for a, b in zip(clip.phones, clip.phones[1:], strict=False))
    for pair in pairs:
        assert by_id[pair.question].kind == "talker"
        answer = by_id[pair.answer]
        assert answer.kind == "voice"
        assert answer.answer == pair.answers[0]


def test_silence_is_where_the_manifest_says(tiny_pairs: Path) -> None:
    _, clips, _ = read_manifest(tiny_pairs)
    for clip in clips[:40]:
        audio = read_audio(tiny_pairs / clip.path)
        begin, end = (round(s * 16_000) for s in clip.speech)
        if clip.kind == "voice":  # answers start at once and end soon
            assert begin <= 640
            assert len(audio) - end <= 2_000
        else:
            assert begin >= 3_200
            assert len(audio) - end >= 6_400
        if not clip.varied:
            assert np.abs(audio[begin:end]).max() > 10 * np.abs(audio[: begin - 320]).max(initial=0.0)


def test_same_plan_same_samples(corpus: Corpus, engines: None) -> None:
    plan = plan_pairs(corpus, SIZES["tiny"], 9)
    clips = list(plan.clips.values())
    espeak = [c for c in clips if c.kind == "talker" and random_talker(c.talker).engine == "espeak"]
    for spec in [*clips[:3], *espeak[:2]]:
        np.testing.assert_array_equal(render_clip(spec, Sources()).audio, render_clip(spec, Sources()).audio)


def test_second_run_does_nothing_and_a_lost_file_comes_back(tmp_path: Path, tiny_pairs: Path, corpus: Corpus) -> None:
    folder = tmp_path / "pairs"
    subprocess.run(["cp", "-r", tiny_pairs, folder], check=True)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    report = make_pairs(folder, size="tiny", seed=3, corpus=corpus)
    assert report.rendered == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    lost = next(iter(folder.glob("audio/*/*.flac")))
    content = lost.read_bytes()
    lost.write_bytes(content[:100])  # cut short, as after a crash of the machine
    assert make_pairs(folder, size="tiny", seed=3, corpus=corpus).rendered == 1
    assert lost.read_bytes() == content


def test_killed_render_goes_on_where_it_was(tmp_path: Path, engines: None) -> None:
    folder = tmp_path / "pairs"
    command = [sys.executable, "-m", "ml", "data", "pairs", "--size", "tiny", "--seed", "4", "--out", str(folder)]
    command += ["--workers", "2"]
    environment = {**os.environ, "TERM": "dumb"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_until(lambda: process.poll() is not None or len(read_journal(folder)) >= 25, 300, "clips")
        assert process.poll() is None, "the command ended by itself"
    finally:
        process.kill()
        process.wait()
    done = read_journal(folder)
    with (folder / "rendered.jsonl").open("a") as journal:
        journal.write('\n{"id": "torn')  # what a kill in mid-write would leave
    kept = {clip_id: (folder / f"audio/{clip_id[:2]}/{clip_id}.flac").stat().st_mtime_ns for clip_id in done}
    lines = folder / "progress.jsonl"
    subprocess.run([*command, "--progress-jsonl", str(lines)], cwd=ROOT, check=True, capture_output=True)
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    result = told[-1]["result"]
    # the dead run's two workers may have finished the clip they were at
    assert result["clips"] - len(done) - 8 <= result["rendered"] <= result["clips"] - len(done)
    assert result["failed"] == []
    for clip_id, when in kept.items():
        assert (folder / f"audio/{clip_id[:2]}/{clip_id}.flac").stat().st_mtime_ns == when
    assert told[0]["total"] == result["clips"]


def test_unusable_arguments_say_what_to_do(tmp_path: Path, corpus: Corpus) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PairsError, match="another --out"):
        make_pairs(blocked / "pairs", size="tiny", corpus=corpus)
    with pytest.raises(PairsError, match="workers"):
        make_pairs(tmp_path, size="tiny", workers=0, corpus=corpus)
    with pytest.raises(PairsError, match="make the pairs first"):
        read_manifest(tmp_path)
