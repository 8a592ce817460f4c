"""Ingest as a whole: what is good is kept, what is not is listed, nothing is done twice or outside the folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml.data.ingest import IngestError, IngestOptions, ingest
from ml.data.ingest.clips import levels
from ml.data.report import ReportError, render_report, summarise
from tests.ml.data.ingest.conftest import Floats, encode

ROOT = Path(__file__).resolve().parents[4]
GOOD = int(os.environ.get("INGEST_GOOD_FILES", "24"))
"""Good files of the mixed folder, beside the bad ones; INGEST_GOOD_FILES=489 makes it 500 files in all."""
QUICK = IngestOptions(speakers="source", min_snr_db=14.0)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, say: Callable[[int], Floats]) -> Path:
    """wav, mp3, m4a, webm; 8 to 48 kHz; mono and stereo; 3 corrupt, 2 empty, a text named .wav, a link out, silence."""
    top = tmp_path_factory.mktemp("mixed")
    folder = top / "source"
    (folder / "deep" / "er").mkdir(parents=True)
    kinds = cycle([(".wav", 8_000), (".mp3", 44_100), (".m4a", 22_050), (".webm", 48_000), (".wav", 48_000),
                   (".mp3", 16_000), (".flac", 32_000), (".m4a", 44_100)])  # fmt: skip
    for number, (suffix, rate) in zip(range(GOOD), kinds, strict=False):
        place = (folder, folder / "deep", folder / "deep" / "er")[number % 3]
        encode(place / f"clip{number:03d}{suffix}", say(number), rate, stereo=number % 4 == 1)
    good = (folder / "clip000.wav").read_bytes()
    (folder / "bad0.wav").write_bytes(b"RIFF" + os.urandom(3_000))
    (folder / "bad1.mp3").write_bytes(os.urandom(5_000))
    (folder / "bad2.m4a").write_bytes(next(folder.rglob("*.m4a")).read_bytes()[40:900])
    (folder / "empty0.wav").write_bytes(b"")
    (folder / "empty1.webm").write_bytes(b"")
    (folder / "notes.wav").write_text("this is a text, not sound\n" * 20)
    (folder / "again.wav").write_bytes(good)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (top / "outside.wav").write_bytes(good)
    (folder / "link.wav").symlink_to(top / "outside.wav")
    (folder / "linked").symlink_to(top)
    os.mkfifo(folder / "pipe.wav")
    soundfile.write(folder / "silence.wav", np.zeros(32_000, np.float32), 16_000)
    voice = say(300)
    hiss = np.random.default_rng(0).standard_normal(len(voice)) * 0.45 * voice.std()
    soundfile.write(folder / "noisy.wav", np.clip(voice + hiss, -1, 1), 16_000)
    soundfile.write(folder / "clipped.wav", np.clip(20 * say(301), -1, 1), 16_000)
    encode(folder / "louder_copy.mp3", np.asarray(1.5 * say(0), np.float32), 44_100)
    return folder


@pytest.fixture(scope="session")
def ingested(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ingested") / "out"
    ingest(str(mixed), out, QUICK)
    return out


def rows_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def reasons(out: Path) -> dict[str, str]:
    return {one["file"]: one["why"] for one in json.loads((out / "report.json").read_text())["left_out"]}


def test_good_files_become_clips(ingested: Path) -> None:
    rows = rows_of(ingested)
    sources = {Path(str(row["source"])).stem for row in rows}
    kept = {f"clip{n:03d}" for n in range(GOOD)}
    assert sources <= kept | {"louder_copy", "again"}
    assert len(sources & (kept | {"again", "louder_copy"})) >= GOOD - 1
    for row in rows:
        audio, rate = soundfile.read(ingested / str(row["audio"]), dtype="float32")
        assert rate == 16_000
        assert audio.ndim == 1
        assert 1.0 <= len(audio) / rate <= 15.3
        assert abs(levels(audio)[0] + 16.0) < 1.5
        assert float(str(row["snr_db"])) >= 10.0
    assert {str(row["audio"]).removeprefix("audio/") for row in rows} == {
        p.name for p in (ingested / "audio").iterdir()
    }


def test_what_is_not_good_is_listed_with_a_reason(ingested: Path) -> None:
    why = reasons(ingested)
    for name in ("bad0.wav", "bad1.mp3", "bad2.m4a", "notes.wav"):
        assert "decoded" in why[name] or "no samples" in why[name] or "audio stream" in why[name], why[name]
    assert why["empty0.wav"] == why["empty1.webm"] == "empty"
    assert "leads out of the folder" in why["link.wav"]
    assert "leads out of the folder" in why["linked"]
    assert why["pipe.wav"] == "no plain file"
    assert "no audio file" in why["picture.png"]
    assert why["silence.wav"] == "no speech in it"
    assert "noisy" in why["noisy.wav"]
    assert "clipped" in why["clipped.wav"]
    assert why["clip000.wav"].startswith("the same content as again.wav")
    assert why["louder_copy.mp3"].startswith("sounds the same as")


def test_nothing_is_written_outside_its_folder(mixed: Path, ingested: Path) -> None:
    assert sorted(p.name for p in mixed.parent.iterdir()) == ["outside.wav", "source"]
    assert sorted(p.name for p in ingested.parent.iterdir()) == ["out"]


def test_second_ingest_does_nothing(mixed: Path, ingested: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(ingested, out)
    clips = {p: p.stat().st_mtime_ns for p in (out / "audio").iterdir()}
    manifest = (out / "manifest.jsonl").read_bytes()
    journal = (out / "ingested.jsonl").read_bytes()
    report = ingest(str(mixed), out, QUICK)
    assert report.known == report.files == GOOD + 11
    assert {p: p.stat().st_mtime_ns for p in (out / "audio").iterdir()} == clips
    assert (out / "manifest.jsonl").read_bytes() == manifest
    assert len((out / "ingested.jsonl").read_bytes()) - len(journal) < 2_000


def test_files_come_and_go(say: Callable[[int], Floats], tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        encode(source / f"a{number}.wav", say(number), 16_000)
    first = rows_of_after(source, out)
    (source / "a1.wav").rename(source / "renamed.wav")
    (source / "a2.wav").unlink()
    encode(source / "b.wav", say(9), 16_000)
    second = rows_of_after(source, out)
    assert {row["source"] for row in second} == {"a0.wav", "renamed.wav", "b.wav"}
    old = {str(row["audio"]) for row in first if row["source"] in ("a0.wav", "a1.wav")}
    assert old <= {str(row["audio"]) for row in second}
    assert len(list((out / "audio").iterdir())) == len(second)
    other = tmp_path / "more"
    other.mkdir()
    encode(other / "c.wav", say(11), 16_000)
    third = rows_of_after(other, out)
    assert {row["source"] for row in third} == {"a0.wav", "renamed.wav", "b.wav", "c.wav"}


def rows_of_after(source: Path, out: Path) -> list[dict[str, object]]:
    ingest(str(source), out, QUICK)
    return rows_of(out)


def test_killed_ingest_goes_on(mixed: Path, ingested: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen = 0

    def die(step: int, *_: object, **__: object) -> None:
        nonlocal seen
        seen = step
        if step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(str(mixed), out, QUICK, die)
    with (out / "ingested.jsonl").open("a") as journal:
        journal.write('\n{"source": "torn')
    half = next(p for p in (out / "audio").iterdir())
    half.with_name("." + half.name).write_bytes(b"half a clip")  # what kill -9 leaves of a file
    report = ingest(str(mixed), out, QUICK)
    assert report.known >= 4
    assert rows_of(out) == rows_of(ingested)
    assert {p.name for p in (out / "audio").iterdir()} == {p.name for p in (ingested / "audio").iterdir()}


def test_a_file_that_crashes_the_program_is_left_out(say: Callable[[int], Floats], tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    encode(source / "evil.wav", say(1), 16_000)
    encode(source / "good.wav", say(2), 16_000)
    program = (
        "import os; from importlib import import_module; from pathlib import Path\n"
        "module = import_module('ml.data.ingest.ingest')\n"
        "cut = module.cut_file\n"
        "module.cut_file = lambda path, options: os._exit(9) if path.name == 'evil.wav' else cut(path, options)\n"
        f"module.ingest({str(source)!r}, Path({str(out)!r}), module.IngestOptions(speakers='source'))"
    )
    codes = [subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode for _ in range(4)]
    assert codes == [9, 9, 9, 0]
    assert {row["source"] for row in rows_of(out)} == {"good.wav"}
    assert "ended the program 3 times" in reasons(out)["evil.wav"]


def test_stop_leaves_what_is_done(mixed: Path, tmp_path: Path) -> None:
    calls = iter(range(100))
    report = ingest(str(mixed), tmp_path / "out", QUICK, stop=lambda: next(calls) >= 8)
    assert report.stopped
    assert report.files == 8
    assert 0 < report.clips <= 8


def test_levels_and_augmentation_by_choice(say: Callable[[int], Floats], tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    encode(source / "a.wav", say(4), 16_000)
    options = IngestOptions(
        speakers="source", loudness="lufs", level_db=-23.0, augment=2, consent="given", licence="CC0"
    )
    report = ingest(str(source), tmp_path / "out", options)
    rows = rows_of(tmp_path / "out")
    assert report.augmented == 2 * report.clips == len([r for r in rows if r["augmented_from"]])
    assert {row["consent"] for row in rows} == {"given"}
    assert {row["licence"] for row in rows} == {"CC0"}
    audio, _ = soundfile.read(tmp_path / "out" / str(rows[0]["audio"]), dtype="float32")
    from ml.data.ingest.clips import lufs

    assert abs(lufs(audio) + 23.0) < 0.7


def test_report_page(ingested: Path, tmp_path: Path) -> None:
    summary = summarise(ingested)
    page = render_report(summary)
    assert f"{summary.clips}</b>" in page
    assert "picture.png" in page
    assert page.count("<svg") >= 4
    assert "<script" not in page
    assert "http" not in page
    with pytest.raises(ReportError, match="give the folder"):
        summarise(tmp_path)


def test_refused_as_a_whole(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="neither a file nor a folder"):
        ingest(str(tmp_path / "absent"), tmp_path / "out")
    with pytest.raises(IngestError, match="lies in the source"):
        ingest(str(mixed), mixed / "out")
    assert not (mixed / "out").exists()
    for wrong in ({"min_seconds": 20.0}, {"loudness": "peak"}, {"level_db": 3.0}, {"consent": "yes"}, {"augment": 99}):
        with pytest.raises(IngestError):
            IngestOptions(**wrong)
