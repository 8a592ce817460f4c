"""Scores of answers, their alignment, and the walk along them."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.data.synthesis.phones import PHONE_ID, PHONES
from ml.data.synthesis.types import EMOTIONS, VOICES
from ml.s2s import Conditions, S2SConfig, S2SConfigError, S2SModel, Sampling
from ml.s2s.alignment import align_frames, score_of
from ml.s2s.score import advance_targets, dwell_of

LAUGH = PHONE_ID["laugh"]


def test_tables_are_those_of_the_voices() -> None:
    config = S2SConfig.named("cpu")
    assert config.speakers == VOICES
    assert config.emotions == EMOTIONS
    assert config.n_phones == len(PHONES)


def test_score_has_a_pause_where_there_is_punctuation() -> None:
    spelled = [PHONES[phone] for phone in score_of("సరే, మంచిది.")]
    assert spelled[0] == spelled[-1] == "sil"
    assert spelled.count("sil") == 3
    assert spelled[1:5] == ["s", "a", "r", "ee"]


@given(
    phones=st.lists(st.integers(1, 46), min_size=2, max_size=20),
    stretch=st.lists(st.integers(1, 5), min_size=22, max_size=22),
    laugh=st.integers(0, 12),
)
@settings(deadline=None, max_examples=50)
def test_alignment_finds_the_true_places(phones: list[int], stretch: list[int], laugh: int) -> None:
    phones = [a for a, b in itertools.pairwise([*phones, 0]) if a != b]  # equal neighbours have no boundary to find
    score = [0, *phones, 0]
    true = np.repeat(np.arange(len(score)), stretch[: len(score)])
    heard = np.asarray(score, np.uint8)[true]
    assert np.array_equal(align_frames(score, heard), true)
    at = int(np.flatnonzero(true == 0)[-1]) + 1  # a laugh before the first word belongs to the pause before it
    laughing = np.insert(heard, at, np.full(laugh, LAUGH, np.uint8))
    path = align_frames(score, laughing)
    assert np.array_equal(path[at + laugh :], true[at:])
    assert (np.diff(path) >= 0).all()


def test_short_answers_are_aligned_as_far_as_frames_allow() -> None:
    path = align_frames([0, 5, 6, 7, 8, 9, 10, 11, 0], np.array([0, 7], np.uint8))
    assert path[0] == 0
    assert 0 < path[1] <= 3


def test_targets_and_dwell() -> None:
    places = torch.tensor([[0, 0, 2, 3, 3, 9], [0, 1, 1, -1, -1, -1]])
    targets = advance_targets(places, torch.tensor([5, 3]))
    assert targets.tolist() == [[0, 2, 1, 0, -100, -100, -100], [1, 0, -100, -100, -100, -100, -100]]
    assert dwell_of(places).tolist()[0] == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_walks_through_its_whole_score_and_ends(model: S2SModel, seed: int) -> None:
    """Random weights end answers at random, yet never before the score is through, and soon after it is."""
    state = model.streaming_state(1)
    sampling = Sampling(temperature=(1.0,), top_k=(0,), top_p=(1.0,), plan_temperature=1.0, min_frames=0)
    model.begin(state, [0], Conditions.one(0, 0), [seed], sampling)
    row, ended = state.rows[0], [False]
    assert row.score == 9 + row.plan
    while not ended[0] and row.at < model.config.max_frames:
        _, ended = model.step(state, [0], sampling)
    assert row.pointer >= row.score - 2


def test_scores_must_fit(model: S2SModel) -> None:
    with pytest.raises(S2SConfigError, match="score_length 20"):
        model.set_scores([[1] * 21] * 7)
    with pytest.raises(S2SConfigError, match="needs n_plans"):
        S2SConfig.named("tiny", score_length=8)
