"""Judging answers: what counts as right, and that every part runs on random weights without a fault."""

import dataclasses
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ml.codec import CodecConfig, TeluCodec
from ml.data.synthesis import PHONE_ID, phones_of
from ml.evaluate.answers import Answered, Asked, answer_all, to_audio
from ml.evaluate.s2s import AnswerBook, Heard, Totals, measure_groups, measure_recogniser, repeats
from ml.evaluate.s2s_faults import measure_faults, odd_inputs
from ml.evaluate.s2s_style import mean_dnsmos, measure_dials, measure_style
from ml.recogniser import Recogniser, RecogniserConfig
from ml.recogniser.model import PhoneNet
from ml.recogniser.recogniser import frozen
from ml.s2s import Conditions, S2SModel
from ml.s2s.sampling import Sampling
from ml.s2s.train.data import Dialogues, model_config
from tests.ml.s2s.toy_pairs import toy_pairs

TEXTS = {"a": "మీరు ఎలా ఉన్నారు?", "b": "నాకు ఆకలేస్తోంది."}


def ids(text: str) -> list[int]:
    return [PHONE_ID[p] for p in phones_of(text)]


def plain(items: Sequence[Any], _title: str) -> Iterable[Any]:
    return items


@pytest.fixture(scope="module")
def parts() -> SimpleNamespace:
    torch.manual_seed(0)
    pairs: Any = toy_pairs()
    codec = TeluCodec(CodecConfig.named("tiny-dialogue")).eval()
    config = dataclasses.replace(model_config(pairs, "tiny"), code_dim=codec.config.code_dim)
    model = S2SModel(config).eval()
    model.use_codebooks(codec.quantizer.codebooks, "0" * 64)
    recogniser = Recogniser(frozen(PhoneNet(RecogniserConfig.named("tiny"))))
    return SimpleNamespace(model=model, codec=codec, judge=recogniser, dialogues=Dialogues(pairs, config))


def test_the_nearest_answer_is_found_by_its_phones() -> None:
    book = AnswerBook(TEXTS)
    heard = ids(TEXTS["b"])
    heard[2] = PHONE_ID["m"]
    name, distance = book.nearest(heard)
    assert name == "b"
    assert 0 < distance < 0.1
    assert book.nearest([]) == ("", 1.0)
    assert book.error(ids(TEXTS["a"]), "a") == 0.0


def test_rates_tell_right_planned_truncated_and_endless_answers_apart() -> None:
    book = AnswerBook(TEXTS)
    totals = Totals()
    codes = np.zeros((8, 50), np.uint16)

    def said(phones: list[str]) -> Heard:
        return Heard(phones, *book.nearest([PHONE_ID[p] for p in phones]))

    whole, half = list(phones_of(TEXTS["a"])), list(phones_of(TEXTS["a"]))[:5]
    totals.add(("a",), "a", Answered(codes, 0, True), said(whole), book)
    totals.add(("b",), "a", Answered(codes, 0, True), said(whole), book)
    totals.add(("a",), "a", Answered(codes, 0, False), said(half), book)
    result = totals.result()
    assert (result["n"], result["accuracy"], result["chosen"]) == (3, 0.6667, 0.6667)
    assert (result["truncation_rate"], result["limit_rate"], result["repetition_rate"]) == (0.3333, 0.3333, 0.0)
    assert result["mean_seconds"] == 2.0


def test_loops_are_noticed_but_not_what_the_text_itself_repeats() -> None:
    loop = [1, 2, 3, 4] * 3
    assert repeats([9, *loop], [1, 2, 3, 4])
    assert not repeats(loop, loop)
    assert not repeats([1, 2, 3, 4, 1, 2, 3, 4], [])


def test_groups_judge_and_report_every_kind_of_pair(parts: SimpleNamespace) -> None:
    result = measure_groups(
        parts.model, parts.codec, parts.judge, parts.dialogues,
        split="validation", limit=3, sampling=Sampling(), seed=0, progress=plain,
    )  # fmt: skip
    assert set(result["groups"]) == {"voices", "followups", "out_of_domain"}
    assert result["all"]["n"] == sum(group["n"] for group in result["groups"].values()) == 5
    assert sum(row["count"] for row in result["confusions"]) <= 5
    own = measure_recogniser(parts.judge, parts.codec, parts.dialogues, limit=4, seed=0)
    assert own["n"] == 4


def test_answers_of_a_batch_are_those_of_single_rows(parts: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    asked = [Asked(rng.integers(0, 1024, (8, n)).astype(np.uint16), Conditions.one(n % 4, 0), (), n) for n in (3, 9, 0)]
    together = answer_all(parts.model, asked, rows=3)
    for one, alone in zip(together, asked, strict=True):
        single = answer_all(parts.model, [alone])[0]
        assert np.array_equal(one.codes, single.codes)
        assert (one.plan, one.ended) == (single.plan, single.ended)
    assert len(to_audio(parts.codec, together[0].codes[:, :0])) == 0


def test_voices_and_dials_are_measured(parts: SimpleNamespace) -> None:
    asked = [Asked(np.zeros((8, 6), np.uint16), Conditions.one(0, 0), (), 0)]
    options = {"sampling": Sampling(), "seed": 0, "progress": plain}
    dials = measure_dials(parts.model, parts.codec, asked, **options)
    assert {name: row["n"] for name, row in dials.items()} == {"pitch": 5, "energy": 5, "rate": 5}
    style = measure_style(parts.model, parts.codec, parts.dialogues, asked, fitted_on=40, **options)
    assert style["n"] == 4 * 9
    assert 0.0 <= style["speaker_accuracy"] <= 1.0
    assert 1.0 <= style["dnsmos"] <= 5.0
    assert 1.0 <= style["dnsmos_of_true_answers"] <= 5.0
    assert mean_dnsmos([np.zeros(8_000, np.float32)]) is None, "silence has no quality"


def test_odd_input_never_crashes_nor_goes_on_for_ever(parts: SimpleNamespace) -> None:
    found = measure_faults(parts.model, parts.codec, {0}, sampling=Sampling(), seed=0, long_seconds=8.0)
    assert set(found) == set(odd_inputs())
    limit = parts.model.config.max_frames * 640 / 16_000
    for row in found.values():
        assert row["finite"]
        assert row["answer_seconds"] <= limit + 0.1
