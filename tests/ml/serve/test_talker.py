"""What a row is told of an earlier connection: the plan that was taken counts, not what a cut answer sounds like."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ml.codec import CodecConfig, TeluCodec
from ml.s2s import S2SConfig, S2SModel
from ml.serve.talk_messages import History, Voice
from ml.serve.talker import Talker

PLANS = 7


def parts(precise: bool = False) -> tuple[TeluCodec, S2SModel, int, torch.device]:
    """What a talker of two rows is made of."""
    torch.manual_seed(2)
    codec = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    config = S2SConfig.named("tiny", code_dim=codec.config.code_dim, n_intents=5, n_plans=PLANS, score_length=20)
    model = S2SModel(config)
    model.use_codebooks(codec.quantizer.codebooks, "0" * 64)
    model.set_scores([[(plan * 5 + i) % 48 + 1 for i in range(9 + plan)] for plan in range(PLANS)])
    if precise:  # a row's rounding depends on who else is in the batch, and near ties among random weights on rounding
        model = model.double()
    return codec, model.eval().requires_grad_(False), 2, torch.device("cpu")


def talker(precise: bool = False) -> Talker:
    return Talker(*parts(precise))


def test_a_cut_answer_is_remembered_by_the_plan_that_was_taken() -> None:
    one = talker()
    codes = np.random.default_rng(0).integers(0, 64, (one.codec.config.n_quantizers, 30)).astype(np.uint16)
    cut, nothing = codes[:, :2], codes[:, :0]
    sounds_like = talker()
    sounds_like.recall(0, [History(codes, cut)])
    sounds_like.begin([0], [Voice()], [1])
    by_ear = sounds_like._state.rows[0].plans

    turns = [History(codes, cut, 3), History(nothing, nothing), History(codes, nothing, 5), History(codes, cut, PLANS)]
    one.recall(1, turns)
    one.begin([1], [Voice()], [1])
    assert one._state.rows[1].plans == [*by_ear, 5, 3], "newest first; nobody's turn is none, nor is an unknown plan"


def test_the_plan_of_an_answer_is_told_and_what_is_recalled_equals_what_was_remembered() -> None:
    one = talker()
    question = np.random.default_rng(1).integers(0, 64, (one.codec.config.n_quantizers, 12)).astype(np.uint16)
    one.listen([0], question[None])
    assert one.plan(0) is None
    one.begin([0], [Voice()], [4])
    taken = one.plan(0)
    assert taken is not None
    made = one.step([0])
    one.remember(0, 1)
    one.recall(1, [History(question, made.codes.T, taken)])
    one.begin([0, 1], [Voice()] * 2, [5, 5])
    assert one._state.rows[0].plans == one._state.rows[1].plans == [taken]


def test_a_row_answers_beside_another_as_it_does_alone() -> None:
    rng = np.random.default_rng(3)
    one = talker()
    questions = rng.integers(0, 64, (2, one.codec.config.n_quantizers, 12)).astype(np.uint16)

    def answer(rows: list[int]) -> tuple[list[list[int]], list[np.ndarray[Any, np.dtype[np.int16]]]]:
        this = talker(precise=True)
        this.listen(rows, questions[rows])
        this.begin(rows, [Voice()] * len(rows), [4 + row for row in rows])
        codes, sound = [], []
        for _ in range(4):
            made = this.step(rows)
            codes.append(made.codes[0].tolist())
            sound.append(this.decode(rows, made.codes[:, :, None])[0])
        return codes, sound

    (alone, heard_alone), (beside, heard_beside) = answer([0]), answer([0, 1])
    assert alone == beside
    assert np.abs(np.stack(heard_alone).astype(np.int32) - np.stack(heard_beside)).max() <= 1
    assert any(frame.any() for frame in heard_alone)
    other, _ = answer([1])
    assert other != alone
