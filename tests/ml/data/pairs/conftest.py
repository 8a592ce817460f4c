"""Pairs of the tiny size, rendered once."""

from pathlib import Path

import pytest

from ml.data.corpus.loader import Corpus, load_corpus
from ml.data.pairs.make import make_pairs
from ml.data.synthesis import festival


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return load_corpus()


@pytest.fixture(scope="session")
def engines() -> None:
    """The speech engines, or a skip that says how to get them."""
    if not festival.installed():
        pytest.skip("Festival's Telugu voice is not installed (apt-get install festival festival-te festvox-te-nsk)")


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory, engines: None, corpus: Corpus) -> Path:
    """A folder of pairs; read it only."""
    folder = tmp_path_factory.mktemp("pairs")
    report = make_pairs(folder, size="tiny", seed=3, corpus=corpus)
    assert not report.failed
    return folder
