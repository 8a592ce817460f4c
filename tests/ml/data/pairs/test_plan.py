"""The plan of pairs: pure, balanced, and with nothing held out that training hears."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml.data.corpus.loader import Corpus
from ml.data.corpus.schema import sound_key
from ml.data.pairs.plan import heard_in_training, plan_pairs
from ml.data.pairs.rewording import load_synonyms, reword
from ml.data.pairs.schema import NEUTRAL, Plan
from ml.data.pairs.sizes import SIZES, PairsError, size_named
from ml.data.pairs.sources import Sources, find_sources
from ml.data.synthesis.types import EMOTIONS, VOICES


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Sentences, people and noises, as a user would give them."""
    folder = tmp_path_factory.mktemp("sources")
    sentences = folder / "sentences.txt"
    lines = [f"ఇది {'కథ ' * (n % 5)}{'పాట ' * (n // 5 % 7)}{'ఊరు ' * (n // 35)}మాట" for n in range(140)]
    sentences.write_text("\n".join([*lines, "only English words here", "రెండు మాటలు"]), encoding="utf-8")
    rng = np.random.default_rng(0)
    for kind, count in (("people", 30), ("noises", 12)):
        (folder / kind).mkdir()
        for number in range(count):
            name = f"{number}-1-1.wav" if kind == "people" else f"rain{number}.wav"
            soundfile.write(folder / kind / name, 0.1 * rng.standard_normal(1_600), 16_000)
    return find_sources(sentences=sentences, human=(folder / "people",), noises=folder / "noises")


@pytest.fixture(scope="module")
def base(corpus: Corpus, sources: Sources) -> Plan:
    return plan_pairs(corpus, SIZES["base"], 1, sources)


def test_base_is_as_large_as_promised(base: Plan, corpus: Corpus) -> None:
    train = [pair for pair in base.pairs if pair.split == "train"]
    assert len(train) >= 12_000
    said = Counter(pair.question for pair in train)
    assert len(said) > 10_000
    assert {pair.intent for pair in train} >= set(corpus.intents)
    share = sum(pair.kind == "out_of_domain" for pair in train) / len(train)
    assert 0.05 < share < 0.07
    groups = Counter((pair.split, pair.group) for pair in base.pairs)
    for group in ("seen", "phrasings", "voices", "both", "followups", "chains", "out_of_domain"):
        assert 60 <= groups["validation", group] <= 300
        assert 190 <= groups["test", group] <= 400


def test_every_answer_in_every_voice_and_all_combinations_covered(base: Plan, corpus: Corpus) -> None:
    answers = [clip for clip in base.clips.values() if clip.kind == "voice"]
    voices: dict[str, set[str]] = {}
    own = 0
    wanted = {answer.text: answer.emotion for answer in reversed(corpus.answers())}
    for clip in answers:
        voices.setdefault(clip.text, set()).add(clip.speaker)
        own += clip.emotion == wanted[clip.text]
    assert set(voices) == {answer.text for answer in corpus.answers()}
    assert all(heard == set(VOICES) for heard in voices.values())
    counted = Counter((clip.speaker, clip.emotion) for clip in answers)
    assert len(counted) == len(VOICES) * len(EMOTIONS)
    assert min(counted.values()) > 0.6 * len(answers) / len(counted)
    assert own > 0.35 * len(answers)
    moved = sum(clip.controls != NEUTRAL for clip in answers) / len(answers)
    assert 0.15 < moved < 0.3


def test_splits_keep_phrasings_and_talkers_apart(base: Plan) -> None:
    heard = heard_in_training(base)
    talkers: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for pair in base.pairs:
        question = base.clips[pair.question]
        talkers[question.split].add(question.speaker)
        assert pair.talker_split == question.split
        if pair.group in ("phrasings", "both", "followups", "chains"):
            assert sound_key(question.text) not in heard, question.text
        if pair.group in ("voices", "both", "followups", "chains", "out_of_domain"):
            assert question.split == pair.split
        if pair.group in ("train", "seen", "phrasings"):
            assert question.split == "train"
    talkers = {split: names - {""} for split, names in talkers.items()}
    assert not talkers["train"] & talkers["validation"]
    assert not talkers["train"] & talkers["test"]
    assert not talkers["validation"] & talkers["test"]


def test_seen_pairs_are_new_recordings(base: Plan) -> None:
    trained = {(base.clips[p.question].text, base.clips[p.question].speaker) for p in base.pairs if p.split == "train"}
    seen = [base.clips[p.question] for p in base.pairs if p.group == "seen"]
    assert seen
    assert all((clip.text, clip.speaker) not in trained for clip in seen)


def test_contexts_are_one_conversation(base: Plan) -> None:
    by_id = {pair.id: pair for pair in base.pairs}
    place = {pair.id: number for number, pair in enumerate(base.pairs)}
    with_context = [pair for pair in base.pairs if pair.context]
    assert len(with_context) > 2_000
    for pair in with_context:
        earlier = [by_id[i] for i in pair.context]
        assert {base.clips[p.question].speaker for p in earlier} == {base.clips[pair.question].speaker}
        assert all(place[p.id] < place[pair.id] and p.split == pair.split for p in earlier)
        if pair.intent == "follow.again" and pair.kind == "followup":
            assert pair.answers == (earlier[-1].answers[0],)
        if pair.intent == "follow.other" and pair.kind == "followup":
            assert earlier[-1].answers[0] not in pair.answers


def test_every_chain_is_learned_and_asked_in_other_words(base: Plan, corpus: Corpus) -> None:
    turns = {f"{chain.id}/{n}": turn for chain in corpus.chains for n, turn in enumerate(chain.turns)}
    plans = {answer.text: name for name, answer in base.answers.items()}
    asked: dict[tuple[str, str], set[str]] = {}
    for pair in base.pairs:
        if pair.kind == "chain":
            asked.setdefault((pair.split, pair.answers[0]), set()).add(base.clips[pair.question].text)
    for turn in turns.values():
        said = plans[turn.answer]
        assert asked["train", said] >= set(turn.ask.train)  # the tellings take turns with them
        assert asked["validation", said] >= set(turn.ask.validation)
        assert asked["test", said] >= set(turn.ask.test)


def test_what_others_say_and_suits_an_intent_is_right_for_its_held_out_questions(base: Plan, corpus: Corpus) -> None:
    right_too = {name: set[str]() for name in corpus.intents}
    for chain in corpus.chains:
        if chain.turns[0].suits_intent:
            right_too[str(chain.turns[0].intent)].add(chain.turns[0].answer)
    for name, intent in corpus.intents.items():
        for other in intent.also:
            right_too[name] |= {answer.text for answer in corpus.intents[other].answers}
    texts = {answer.id: answer.text for answer in base.answers.values()}
    checked = Counter[str]()
    for pair in base.pairs:
        if pair.kind == "intent" and right_too[pair.intent]:
            own = {answer.text for answer in corpus.intents[pair.intent].answers}
            others = set() if pair.split == "train" else right_too[pair.intent]
            right = [texts[answer] for answer in pair.answers]
            assert right[0] in own, "what is said for it is its own"
            assert set(right) == own | others
            assert len(right) == len(set(right))
            checked[pair.split] += 1
    assert min(checked[split] for split in ("train", "validation", "test")) > 0


def test_a_prefix_of_the_render_is_balanced(base: Plan) -> None:
    first = set(list(base.clips)[: len(base.clips) // 4])
    complete = [pair for pair in base.pairs if pair.question in first and pair.answer in first]
    assert len(complete) > 0.15 * len(base.pairs)
    intents = {pair.intent for pair in base.pairs}
    assert len({pair.intent for pair in complete}) > 0.95 * len(intents)


def test_plan_depends_on_its_arguments_alone(corpus: Corpus, sources: Sources) -> None:
    told = plan_pairs(corpus, SIZES["tiny"], 1, sources)
    assert plan_pairs(corpus, SIZES["tiny"], 1, sources).digest == told.digest
    assert any(pair.kind == "out_of_domain" for pair in told.pairs)
    tiny = plan_pairs(corpus, SIZES["tiny"], 1)
    assert plan_pairs(corpus, SIZES["tiny"], 2).digest != tiny.digest
    assert not any(pair.kind == "out_of_domain" for pair in tiny.pairs)  # no sentences, no recordings given


def test_new_phrasings_leave_the_questions_of_before_as_they_were(corpus: Corpus) -> None:
    """Else one new phrasing would mean to render everything anew."""
    name = next(iter(corpus.intents))
    grown = corpus.topics[0].model_dump()
    grown["intents"][0]["ask"]["train"] += ["కొత్త మాట ఒకటి", "కొత్త మాట రెండు"]
    topics = (type(corpus.topics[0]).model_validate(grown), *corpus.topics[1:])
    before, after = (plan_pairs(c, SIZES["base"], 1) for c in (corpus, replace(corpus, topics=topics)))

    def asked(plan: Plan, *groups: str) -> set[str]:
        return {pair.question for pair in plan.pairs if pair.group in groups}

    assert asked(before, "train") < asked(after, "train")
    new = asked(after, "train") - asked(before, "train")
    assert {pair.intent for pair in after.pairs if pair.question in new} == {name}
    assert len(new) == 2 * SIZES["base"].asked_by
    held_out = ("seen", "phrasings", "voices", "both", "followups", "chains")
    assert len(asked(after, *held_out) - asked(before, *held_out)) <= 4  # new phrasings may be chosen, too


def test_rewording_changes_words_and_never_into_a_held_out_phrasing(corpus: Corpus) -> None:
    rng = np.random.default_rng(5)
    synonyms = load_synonyms()
    phrasings = [text for intent in corpus.intents.values() for text in intent.ask.train]
    made = [reword(text, synonyms, rng) for text in phrasings]
    assert np.mean([a != b for a, b in zip(phrasings, made, strict=True)]) > 0.5
    assert all(text and text == " ".join(text.split()) for text in made)


def test_bad_sources_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PairsError, match="tiny, base, full"):
        size_named("huge")
    with pytest.raises(PairsError, match="give a UTF-8 text file"):
        find_sources(sentences=tmp_path / "absent.txt")
    with pytest.raises(PairsError, match="holds no audio files"):
        find_sources(noises=tmp_path)
