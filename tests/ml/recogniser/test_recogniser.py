"""The recogniser: it learns, streams exactly, refuses what does not fit, and writes Telugu."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.codec.checkpoint import CheckpointError
from ml.data.synthesis import PHONE_ID, PHONES, phones_of
from ml.recogniser import Captioner, Recogniser, RecogniserConfig, export_recogniser, words_only
from ml.recogniser.captions import spell
from ml.recogniser.config import RECIPES
from ml.recogniser.data import PhonedClip, Surroundings, phoned, split_clips
from ml.recogniser.decode import collapse, edit_distance, edit_distances
from ml.recogniser.model import BLANK, PhoneNet
from ml.recogniser.recogniser import frozen
from ml.recogniser.train import RecogniserTrainer, export_best
from ml.train.codec import Stop

ALPHABET = ("a", "k", "m", "s")


def tone_clips(count: int) -> list[PhonedClip]:
    """Clips whose phones are chords of their own, 120 ms each, between silences."""
    clips = []
    for number in range(count):
        rng = np.random.default_rng(number)
        phones = [("sil", 0.0, 0.1)]
        parts = [np.zeros(1600)]
        for _ in range(int(rng.integers(3, 6))):
            symbol = ALPHABET[int(rng.integers(len(ALPHABET)))]
            time = np.arange(1920) / 16_000
            low = 300.0 * 2.0 ** ALPHABET.index(symbol)
            parts.append(0.2 * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * 1.7 * low * time)))
            parts.append(np.zeros(480))
            start = phones[-1][2]
            phones += [(symbol, start, start + 0.12), ("sil", start + 0.12, start + 0.15)]
        audio = np.concatenate(parts).astype(np.float32)
        clips.append(phoned(audio, phones, "", f"talker-{number % 7}"))
    return clips


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RecogniserTrainer:
    clips = tone_clips(40)
    config = dataclasses.replace(RECIPES["tiny"], steps=120, validate_every=60, varied_share=0.0, seed=1)
    training, held_out = split_clips(clips)
    trainer = RecogniserTrainer(config, tmp_path_factory.mktemp("run"), "cpu", training, held_out, Surroundings([], []))
    trainer.fit(lambda row: None, Stop(), 60)
    return trainer


@pytest.fixture(scope="module")
def recogniser(trained: RecogniserTrainer, tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    path = tmp_path_factory.mktemp("weights") / "recogniser.safetensors"
    export_best(trained.run, trained.config, path, ["tones"])
    return Recogniser.load(path)


def test_it_learns_and_what_ships_hears_the_same(trained: RecogniserTrainer, recogniser: Recogniser) -> None:
    assert trained.best > -0.35
    right = 0
    for clip in trained.held_out:
        truth = [PHONES[i] for i in clip.ids if PHONES[i] != "sil"]
        right += recogniser.phones(clip.samples) == truth
    assert right >= len(trained.held_out) // 3


def test_a_stream_hears_what_the_whole_file_has(recogniser: Recogniser) -> None:
    first, second = (clip.samples for clip in tone_clips(2))
    whole = recogniser.heard([first, second])
    state = recogniser.state(rows=2)
    found: list[list[str]] = [[], []]
    length = max(len(first), len(second)) // 320 * 320 + 960
    padded = torch.zeros(2, length)
    padded[0, : len(first)] = torch.from_numpy(first)
    padded[1, : len(second)] = torch.from_numpy(second)
    for start in range(0, length - 959, 960):
        live = torch.tensor([start < len(first), start < len(second)])
        for row, new in enumerate(recogniser.step(padded[:, start : start + 960], state, live)):
            found[row] += new
    for row in range(2):
        assert found[row][: len(whole[row])] == whole[row]
    state.reset(torch.tensor([True, False]))
    assert state.last.tolist()[0] == BLANK


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros(100), np.full(16_000, np.nan), np.ones(8_000)])
def test_odd_audio_is_heard_without_a_fault(recogniser: Recogniser, audio: np.ndarray) -> None:
    assert isinstance(recogniser.phones(audio.astype(np.float32)), list)


def test_a_chunk_that_is_no_whole_frame_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match="whole frames of 320"):
        recogniser.step(torch.zeros(1, 100), recogniser.state())


def test_weights_of_another_inventory_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recogniser.safetensors"
    export_recogniser(PhoneNet(RecogniserConfig.named("tiny")), path, {})
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, "phones": card["phones"][:-1]}))
    with pytest.raises(CheckpointError, match="another phone inventory"):
        Recogniser.load(path)
    path.with_suffix(".json").write_text(json.dumps(card))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="sha256"):
        Recogniser.load(path)


def test_it_hears_nothing_of_the_future() -> None:
    net = frozen(PhoneNet(RecogniserConfig.named("tiny")))
    audio = torch.randn(1, 6_400, generator=torch.Generator().manual_seed(0)) * 0.1
    changed = audio.clone()
    changed[:, 3_200:] = 0.0
    with torch.inference_mode():
        a, b = (net.head(net.body(net.features(x))) for x in (audio, changed))
    assert torch.allclose(a[:, :10], b[:, :10], atol=1e-5)
    assert not torch.allclose(a[:, 10:], b[:, 10:], atol=1e-3)


sequences = st.lists(st.integers(0, 5), max_size=9)


@settings(max_examples=60, deadline=None)
@given(sequences, st.lists(sequences, min_size=1, max_size=4))
def test_distances_agree_with_the_textbook(query: list[int], references: list[list[int]]) -> None:
    def textbook(a: list[int], b: list[int]) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, start=1):
            row, above = [i], row
            for j, y in enumerate(b, start=1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        return row[-1]

    assert edit_distances(query, references).tolist() == [textbook(query, r) for r in references]
    assert edit_distance(query, references[0]) == textbook(query, references[0])


def test_a_path_is_collapsed_across_calls() -> None:
    assert collapse([1, 1, BLANK, 1, 2, 2], BLANK) == [1, 1, 2]
    assert collapse([2, 2, 3], BLANK, previous=2) == [3]


@pytest.mark.parametrize("word", ["నమస్కారం", "అమ్మ", "ఆంధ్ర", "కన్ను", "ఇల్లు", "రైలు", "ఎక్కడ", "కాఫీ", "ఊరు"])
def test_letters_follow_from_phones(word: str) -> None:
    assert spell(phones_of(word)) == word


def test_captions_take_the_nearest_text_and_spell_the_rest() -> None:
    captioner = Captioner(["మీరు ఎలా ఉన్నారు?", "నాకు ఆకలేస్తోంది."])
    heard = list(phones_of("మీరు ఎలా ఉన్నారు"))
    heard[3] = "k"
    near = captioner.caption(heard)
    assert (near.text, near.known) == ("మీరు ఎలా ఉన్నారు?", True)
    far = captioner.caption([*phones_of("రేపు"), "sil", *phones_of("మీరు"), *phones_of("రండి")])
    assert (far.text, far.known) == ("రేపు మీరు రండి", False)
    assert captioner.caption([]).text == ""
    assert Captioner.of_corpus().caption(list(phones_of("మళ్ళీ చెప్పండి"))).known


@settings(max_examples=40, deadline=None)
@given(sequences.filter(bool))
def test_no_text_is_nearer_than_the_one_found(heard: list[int]) -> None:
    captioner = Captioner.of_corpus()
    query = [1 + symbol for symbol in heard]
    found = captioner.nearest([PHONES[symbol] for symbol in query])
    assert found is not None
    few = [[PHONE_ID[p] for p in phones_of(text)] for text in captioner.texts[::97]]
    shares = edit_distances(query, few) / np.maximum([len(phones) for phones in few], len(query))
    assert found.distance <= shares.min()


def test_words_are_what_remains_without_laughter() -> None:
    assert words_only(["sil", "laugh", "a", "breath", "k"]) == ["a", "k"]
    assert set(range(BLANK)) == set(PHONE_ID.values())
