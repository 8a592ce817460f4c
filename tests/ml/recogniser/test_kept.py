"""What is kept of the corpus is what would be made; whatever cannot be trusted is made anew."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ml.data.corpus.loader import CORPUS_DIR
from ml.recogniser import kept
from ml.recogniser.captions import Captioner
from ml.recogniser.kept import NAME, Heard, heard_of, key_of


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little of the corpus: all of it takes seconds to read."""
    folder = tmp_path_factory.mktemp("corpus")
    for name in ("fallbacks.yaml", "thanks.yaml"):
        shutil.copy(CORPUS_DIR / name, folder)
    return folder


@pytest.fixture
def corpus(shipped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped, tmp_path / "corpus"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "var" / "cache"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Corpora that were read instead of what is kept of them."""
    found: list[Path] = []
    real = kept._made

    def counted(folder: Path) -> Heard:
        found.append(folder)
        return real(folder)

    monkeypatch.setattr(kept, "_made", counted)
    return found


def alike(one: Heard, other: Heard) -> bool:
    a, b = one.captioner, other.captioner
    tables = zip(kept._tables(one.endings), kept._tables(other.endings), strict=True)
    return (
        a.texts == b.texts
        and a.known.words == b.known.words
        and bool((a.known.phones == b.known.phones).all())
        and all(x.tolist() == y.tolist() for (_, x), (_, y) in tables)
    )


def captions(captioner: Captioner) -> list[str]:
    """Of every tenth text, and of the ends of two, which is none."""
    from ml.data.synthesis import phones_of

    heard = [list(phones_of(text)) for text in captioner.texts[::10]]
    mixed = [one[-9:] + other[-9:] for one, other in pairwise(heard)]
    return [captioner.caption(phones).text for phones in heard + mixed]


def test_the_folder_is_the_shipped_corpus() -> None:
    assert kept.CORPUS == CORPUS_DIR
    assert all(list(kept._ML.glob(pattern)) for pattern in kept._CODE)


def test_what_is_kept_is_what_was_made(corpus: Path, cache: Path, made: list[Path]) -> None:
    first, second, without = heard_of(cache, corpus), heard_of(cache, corpus), heard_of(None, corpus)
    assert made == [corpus, corpus], "the second was kept, the third asked for nothing to be"
    assert alike(first, second)
    assert alike(first, without)
    assert captions(first.captioner) == captions(second.captioner)
    for phones in (["a"], ["k", "aa", "r"], ["u", "n", "n", "aa", "r", "u"], []):
        assert first.endings.probability(phones) == second.endings.probability(phones)


def test_a_changed_corpus_is_read_again(corpus: Path, cache: Path, made: list[Path]) -> None:
    first = heard_of(cache, corpus)
    file = corpus / "fallbacks.yaml"
    file.write_text(file.read_text().replace("క్షమించండి", "మన్నించండి"))
    second = heard_of(cache, corpus)
    assert len(made) == 2
    assert not alike(first, second)
    assert alike(second, heard_of(cache, corpus))
    assert len(made) == 2


def test_so_is_the_corpus_of_other_code(
    corpus: Path, cache: Path, made: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_of(cache, corpus)
    before = key_of(corpus)
    (tmp_path / "other" / "recogniser").mkdir(parents=True)
    (tmp_path / "other" / "recogniser" / "captions.py").write_text("NEAR = 0.5\n")
    monkeypatch.setattr(kept, "_ML", tmp_path / "other")
    assert key_of(corpus) != before
    heard_of(cache, corpus)
    assert len(made) == 2


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def a_table_less(path: Path) -> None:
    """Whole, and with the right key and sum, but not what this code wrote."""
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        told = file.metadata()
    del arrays["ends.0"]
    save_file(arrays, path, {**told, "sha256": kept._digest(arrays)})


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [half, nothing, one_bit, a_table_less, a_folder])
def test_a_damaged_file_is_made_anew(
    damage: object, corpus: Path, cache: Path, made: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    first = heard_of(cache, corpus)
    damage(cache / NAME)  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert alike(first, heard_of(cache, corpus))
    assert len(made) == 2
    assert "cannot be used and is made anew" in caplog.text
    if damage is not a_folder:
        heard_of(cache, corpus)
        assert len(made) == 2, "and kept again"
    assert [path.name for path in cache.iterdir()] == [NAME], "nothing is left beside it"


def test_servers_that_start_at_once_read_whole_files(corpus: Path, cache: Path) -> None:
    first = heard_of(None, corpus)
    key = key_of(corpus)
    kept._write(cache / NAME, key, first)

    def writes(_: int) -> bool:
        kept._write(cache / NAME, key, first)
        found = kept._read(cache / NAME, key)
        return found is not None and alike(first, found)

    with ThreadPoolExecutor(4) as starts:
        assert all(starts.map(writes, range(12)))
    assert [path.name for path in cache.iterdir()] == [NAME]


@pytest.mark.parametrize("folder", ["/proc/self/cache", "file/cache"])
def test_a_folder_that_cannot_be_written_is_done_without(
    folder: str, corpus: Path, tmp_path: Path, made: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """`/proc` lets nobody make a folder, not even root."""
    (tmp_path / "file").write_text("no folder")
    first = heard_of(tmp_path / folder, corpus)
    assert "cannot be written" in caplog.text
    assert alike(first, heard_of(tmp_path / folder, corpus))
    assert len(made) == 2
