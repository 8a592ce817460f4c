"""The shipped corpus meets its numbers, and a bad file is told in words that say what to do."""

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ml.cli.data import app
from ml.data.corpus.loader import CORPUS_DIR, Corpus, CorpusError, load_corpus
from ml.data.corpus.page import render_page
from ml.data.corpus.schema import FOLLOW_KINDS, SPLITS, sound_key, words

ROOT = Path(__file__).resolve().parents[3]
LETTERS = "అఆఇఈఉఊఎఏఐఒఓఔకఖగఘచజఝటఠడఢణతథదధనపఫబభమయరలవశషసహళ"

Files = dict[str, Any]


def ask(first: int) -> dict[str, list[str]]:
    """Ten phrasings; no two of different ``first`` sound the same."""
    texts = [f"{LETTERS[first]}{LETTERS[n]} చెప్పండి" for n in range(10)]
    return {"train": texts[:6], "validation": texts[6:8], "test": texts[8:]}


def intent(name: str, first: int) -> dict[str, Any]:
    return {
        "id": name,
        "title": {"te": "పేరు", "en": "Name"},
        "ask": ask(first),
        "answers": [
            {"text": "ఇది మొదటి జవాబు", "emotion": "happy"},
            {"text": "ఇది రెండో జవాబు", "emotion": "neutral"},
        ],
    }


def turn(first: int, answer: str, **kind: str) -> dict[str, Any]:
    texts = ask(first)["train"]
    said = {"train": texts[:3], "validation": texts[3:4], "test": texts[4:5]}
    return {"ask": said, "answer": answer, "emotion": "happy", **kind}


@pytest.fixture
def files() -> Files:
    """A small corpus without a fault."""
    answer = {"text": "మళ్ళీ ఒకసారి చెప్పండి", "emotion": "empathy"}
    return copy.deepcopy(
        {
            "food.yaml": {
                "topic": "food",
                "title": {"te": "భోజనం", "en": "Food"},
                "intents": [intent("food.rice", 0), intent("food.tea", 1)],
            },
            "chains-a.yaml": {
                "chains": [
                    {
                        "id": "chains.rice",
                        "turns": [
                            turn(11, "సరే చెప్తాను వినండి", intent="food.rice"),
                            turn(12, "తర్వాత అన్నం తినండి"),
                        ],
                    }
                ]
            },
            "followups.yaml": {
                "followups": [{"kind": k, "ask": ask(5 + n), "default": [answer]} for n, k in enumerate(FOLLOW_KINDS)]
            },
            "fallbacks.yaml": {"fallbacks": [answer]},
        }
    )


@pytest.fixture
def problems(tmp_path: Path, files: Files) -> Callable[[], list[str]]:
    """Writes the files as they are by then and gives the problems found."""

    def load() -> list[str]:
        for name, data in files.items():
            text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)  # JSON is YAML, too
            (tmp_path / name).write_text(text, encoding="utf-8")
        try:
            load_corpus(tmp_path)
        except CorpusError as error:
            return error.problems
        return []

    return load


@pytest.fixture(scope="module")
def shipped() -> Corpus:
    return load_corpus()


class TestShippedCorpus:
    def test_it_is_large_enough(self, shipped: Corpus) -> None:
        counts = shipped.counts()
        assert counts.intents >= 200
        assert counts.chains >= 40
        assert counts.longest_chain == 10
        assert counts.turn_phrasings["train"] >= 4 * counts.turns
        assert counts.fallbacks >= 12

    def test_every_intent_has_its_phrasings_and_answers(self, shipped: Corpus) -> None:
        for name, one in shipped.intents.items():
            assert len(one.ask.items()) >= 10, name
            assert len(one.ask.validation) >= 2, name
            assert len(one.ask.test) >= 2, name
            assert len(one.answers) >= 2, name

    def test_most_intents_know_why_and_more(self, shipped: Corpus) -> None:
        intents = shipped.intents.values()
        assert sum(one.why is not None and one.more is not None for one in intents) > 0.7 * len(intents)

    def test_follow_ups_occur_in_chains_and_have_answers_of_their_own(self, shipped: Corpus) -> None:
        assert set(shipped.followups) == set(FOLLOW_KINDS)
        used = {turn.follow for chain in shipped.chains for turn in chain.turns}
        assert set(FOLLOW_KINDS) <= used

    def test_no_phrasing_is_in_two_splits(self, shipped: Corpus) -> None:
        keys = [{sound_key(text) for text in shipped.held_out(split)} for split in SPLITS]
        for one, other in itertools.combinations(keys, 2):
            assert not one & other

    def test_turns_are_held_out_in_other_words(self, shipped: Corpus) -> None:
        """Not even the same words in another order."""
        for one in (turn for chain in shipped.chains for turn in chain.turns):
            learned = {tuple(sorted(words(text))) for text in one.ask.train}
            assert not {tuple(sorted(words(text))) for text in [*one.ask.validation, *one.ask.test]} & learned

    def test_every_emotion_is_used(self, shipped: Corpus) -> None:
        assert len(shipped.counts().emotions) == 9

    def test_the_page_in_docs_is_current(self, shipped: Corpus) -> None:
        page = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
        assert page == render_page(shipped), "run `python -m ml data corpus page`"


def test_a_good_corpus_has_no_problem_and_is_counted(tmp_path: Path, problems: Callable[[], list[str]]) -> None:
    assert problems() == []
    counts = load_corpus(tmp_path).counts()
    assert (counts.intents, counts.turns, counts.longest_chain, counts.fallbacks) == (2, 2, 2, 1)
    assert counts.phrasings == {"train": 36, "validation": 12, "test": 12}


def test_one_topic_alone_can_be_checked(files: Files, problems: Callable[[], list[str]]) -> None:
    for name in ("chains-a.yaml", "followups.yaml", "fallbacks.yaml"):
        del files[name]
    assert problems() == []


def _set(*path: Any) -> Callable[[Files], None]:
    """A change that sets the value at a path; the last item is the value."""

    def change(files: Files) -> None:
        place: Any = files
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


def _drop(*path: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        place: Any = files
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


RICE = ("food.yaml", "intents", 0)
TURN = ("chains-a.yaml", "chains", 0, "turns")

FAULTS: dict[str, tuple[Callable[[Files], None], list[str]]] = {
    "too few validation": (
        _set(*RICE, "ask", "validation", ["ఒకే మాట"]),
        ["food.yaml: intent food.rice: ask.validation", "has 1, needs 2 or more: write more"],
    ),
    "one answer": (_drop(*RICE, "answers", 1), ["food.rice: answers", "has 1, needs 2"]),
    "answers alike": (
        _set(*RICE, "answers", 1, "text", "ఇది మొదటి జవాబు!"),
        ["food.rice", "two of its answers are the same"],
    ),
    "answer too short": (_set(*RICE, "answers", 0, "text", "సరేనండి"), ["answers 1.text", "has 1 words", "3 to 18"]),
    "answer too long": (_set(*RICE, "answers", 0, "text", " ".join(["మాట"] * 19)), ["has 19 words: shorten it"]),
    "Latin letters": (_set(*RICE, "ask", "train", 2, "bus ఎక్కడ"), ["ask.train 3", "'b' (U+0062)", "Telugu script"]),
    "digits": (_set(*RICE, "ask", "train", 2, "౩ ఎక్కడ"), ["U+0C69", "numbers as words"]),
    "other marks": (_set(*RICE, "ask", "train", 2, "ఎక్కడ; చెప్పు"), ["';' (U+003B)"]),
    "joiner astray": (_set(*RICE, "ask", "train", 2, "ఎక్క\u200cడ"), ["U+200C", "remove it"]),
    "spaces": (_set(*RICE, "ask", "train", 2, "ఎక్కడ  చెప్పు"), ["spaces", "remove them"]),
    "unknown emotion": (_set(*RICE, "answers", 0, "emotion", "angry"), ["'angry' is not known: use 'neutral'"]),
    "unquoted yes": (_set(*RICE, "title", "en", True), ["title.en", "put it in double quotes"]),
    "no title": (_drop(*RICE, "title"), ["food.rice: title: is missing: add it"]),
    "unknown key": (_set(*RICE, "answer", "x"), ["food.rice: answer: is not a key of this format"]),
    "bad name": (_set(*RICE, "id", "Rice"), ["'Rice' is no valid name"]),
    "name of another topic": (_set(*RICE, "id", "drink.tea"), ["drink.tea must be named food."]),
    "name twice": (_set(*RICE, "id", "food.tea"), ["food.tea is also in food.yaml: rename"]),
    "phrasing in two intents": (
        _set(*RICE, "ask", "train", 2, "ఆఆచెప్పండి!"),
        ["'ఆఆ చెప్పండి' is already in [food.yaml: intent food.rice: train]: remove or reword"],
    ),
    "phrasing in two splits": (
        _set(*RICE, "ask", "test", 0, "అఅ చెప్పండి."),
        ["food.rice: test: 'అఅ చెప్పండి.' is already in [food.yaml: intent food.rice: train]"],
    ),
    "same words, other order": (
        _set(*RICE, "ask", "train", 2, "చెప్పండి ఆఆ"),
        ["same words as a phrasing of [food.yaml: intent food.rice: train]"],
    ),
    "phrasing that is a follow-up": (
        _set(*RICE, "ask", "train", 2, "ఊఅ చెప్పండి"),
        ["followups.yaml: kind again: train", "already in [food.yaml: intent food.rice: train]"],
    ),
    "topic and file differ": (_set("food.yaml", "topic", "meals"), ["intent food.rice must be named meals."]),
    "unknown intent in a chain": (
        _set(*TURN, 1, "intent", "food.soup"),
        ["chains-a.yaml: chain chains.rice: turn 2", "there is no intent food.soup"],
    ),
    "another intent's phrasing": (
        _set(*TURN, 0, "ask", "train", 1, "ఆఅ చెప్పండి"),
        ["turn 1: train: 'ఆఅ చెప్పండి' is a phrasing of", "write intent: food.tea"],
    ),
    "follow-up not named": (_set(*TURN, 1, "ask", "train", 0, "ఊఅ చెప్పండి"), ["write follow: again"]),
    "kept phrasing learned in a turn": (
        _set(*TURN, 0, "ask", "train", 0, "అఎ చెప్పండి"),
        ["turn 1: train: 'అఎ చెప్పండి' is kept for validation by [food.yaml: intent food.rice: validation]: reword"],
    ),
    "a turn kept for two splits": (
        _set(*TURN, 1, "ask", "test", 0, f"{LETTERS[11]}అచెప్పండి"),
        ["chain chains.rice: turn 2: test", "is kept for train by [chains-a.yaml: chain chains.rice: turn 1: train]"],
    ),
    "a turn that says it twice": (
        _set(*TURN, 1, "ask", "test", 0, f"{LETTERS[12]}అచెప్పండి!"),
        ["chain chains.rice: turns 2.ask", "stands twice in this turn: remove or reword one"],
    ),
    "too few for a turn": (
        _set(*TURN, 1, "ask", "train", ["ఒకే మాట"]),
        ["chains.rice: turns 2.ask.train", "has 1, needs 3 or more"],
    ),
    "a chain with a split": (_set(*TURN[:-1], "split", "test"), ["chains.rice: split", "not a key of this format"]),
    "unknown follow-up": (_set(*TURN, 1, "follow", "how"), ["'how' is not known: use 'again', 'why'"]),
    "intent and follow": (
        lambda files: files["chains-a.yaml"]["chains"][0]["turns"][1].update(follow="why", intent="food.tea"),
        ["has both intent and follow"],
    ),
    "also of nothing": (_set(*RICE, "also", ["food.soup"]), ["food.rice: also: food.soup is no other intent"]),
    "also of itself": (_set(*RICE, "also", ["food.rice"]), ["food.rice: also: food.rice is no other intent"]),
    "suits no intent": (_set(*TURN, 1, "suits_intent", True), ["has suits_intent without intent: name the intent"]),
    "a later turn that suits": (
        lambda files: files["chains-a.yaml"]["chains"][0]["turns"][1].update(suits_intent=True, intent="food.tea"),
        ["a later turn has suits_intent", "keep it for first turns"],
    ),
    "begins with a follow-up": (
        lambda files: (
            files["chains-a.yaml"]["chains"][0]["turns"].reverse()
            or files["chains-a.yaml"]["chains"][0]["turns"][0].update(follow="why")
        ),
        ["chains.rice", "nothing was said before"],
    ),
    "one turn": (_drop(*TURN, 1), ["chains.rice: turns", "has 1, needs 2"]),
    "eleven turns": (
        _set(*TURN[:-1], "turns", [turn(11, "ఇది ఒక జవాబు")] * 11),
        ["turns", "has 11, may have 10"],
    ),
    "kind twice": (_set("followups.yaml", "followups", 1, "kind", "again"), ["kind again stands twice", "no kind why"]),
    "not YAML": (_set("food.yaml", 'topic: "food'), ["food.yaml: line ", "not readable as YAML"]),
    "key twice": (_set("fallbacks.yaml", "fallbacks: []\nfallbacks: []\n"), ["line 2", "fallbacks stands twice"]),
    "alias": (_set("fallbacks.yaml", "a: &x [1]\nb: *x\n"), ["fallbacks.yaml: line 2: write the text out"]),
    "a tag that would run code": (
        _set("fallbacks.yaml", "fallbacks: !!python/object/apply:os.getcwd []\n"),
        ["fallbacks.yaml: line 1", "not readable as YAML"],
    ),
    "a list": (_set("fallbacks.yaml", "- a\n"), ["fallbacks.yaml: must hold the keys fallbacks"]),
    "control characters": (_set("fallbacks.yaml", "fallbacks: [\x00]\n"), ["fallbacks.yaml", "not readable as YAML"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_its_place_and_remedy(fault: str, files: Files, problems: Callable[[], list[str]]) -> None:
    change, said = FAULTS[fault]
    change(files)
    told = "\n".join(problems())
    for part in said:
        assert part in told


def test_all_faults_are_told_at_once(files: Files, problems: Callable[[], list[str]]) -> None:
    for fault in ("digits", "one turn", "a list"):
        FAULTS[fault][0](files)
    assert {line.split(":")[0] for line in problems()} == {"food.yaml", "chains-a.yaml", "fallbacks.yaml"}


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "food.yaml").write_bytes("topic: é".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"food\.yaml: .*not readable as YAML"):
        load_corpus(tmp_path)


def test_an_empty_or_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no \.yaml files"):
        load_corpus(tmp_path)
    with pytest.raises(CorpusError, match="not a folder"):
        load_corpus(tmp_path / "absent")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ఎలా ఉన్నారు?", "ఎలా ఉన్నారు"),
        ("ఎలా ఉన్నారు", "ఎలాఉన్నారు!"),
        ("మళ్ళీ చెప్పండి", "మళ్లీ చెప్పండి"),
        ("డాక్టర్\u200cని పిలవండి", "డాక్టర్ని పిలవండి"),
    ],
)
def test_texts_that_sound_alike_have_one_key(one: str, other: str) -> None:
    assert sound_key(one) == sound_key(other)


def test_words_leave_out_marks() -> None:
    assert words("అవునా, నిజమా?") == ["అవునా", "నిజమా"]


class TestCommandLine:
    def test_check_counts(self, tmp_path: Path, problems: Callable[[], list[str]]) -> None:
        assert problems() == []
        result = CliRunner().invoke(app, ["corpus", "check", str(tmp_path)], catch_exceptions=False)
        assert result.exit_code == 0
        assert "2 intents in 1 topics" in result.output

    def test_page_lists_every_intent(self, tmp_path: Path, problems: Callable[[], list[str]]) -> None:
        assert problems() == []
        out = tmp_path / "page.md"
        CliRunner().invoke(
            app, ["corpus", "page", "--folder", str(tmp_path), "--out", str(out)], catch_exceptions=False
        )
        page = out.read_text(encoding="utf-8")
        assert "`food.rice`" in page
        assert "`chains.rice`" in page
        assert "అఅ చెప్పండి" in page

    def test_a_bad_folder_ends_with_2_and_no_traceback(self, tmp_path: Path) -> None:
        (tmp_path / "food.yaml").write_text("topic: [", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "ml", "data", "corpus", "check", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "food.yaml: line " in done.stderr
        assert "Traceback" not in done.stderr


def test_the_corpus_is_read_without_torch_and_django() -> None:
    code = (
        "import sys; from ml.data.corpus.loader import load_corpus; "
        f"load_corpus(__import__('pathlib').Path({str(CORPUS_DIR)!r})); "
        "assert not {'torch', 'django', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_topics_of_ones_own_are_spoken_beside_the_corpus(tmp_path: Path, shipped: Corpus) -> None:
    def write(name: str, **topic: Any) -> None:
        text = json.dumps({"title": {"te": "అంగడి", "en": "Shop"}, **topic}, ensure_ascii=False)
        (tmp_path / name).write_text(text, encoding="utf-8")

    write("my_shop.yaml", topic="my_shop", intents=[intent("my_shop.open", 20)])
    both = load_corpus(more=tmp_path)
    assert set(both.intents) == {*shipped.intents, "my_shop.open"}
    write("food.yaml", topic="food", intents=[intent("my_shop.closed", 21)])
    write("my_bank.yaml", topic="my_bank", intents=[intent("my_shop.open", 22)])
    with pytest.raises(CorpusError) as error:
        load_corpus(more=tmp_path)
    told = "\n".join(error.value.problems)
    assert "food.yaml: the corpus has a file of that name" in told
    assert "my_shop.open must be named my_bank" in told
    with pytest.raises(CorpusError, match="your own topics"):
        load_corpus(more=tmp_path / "absent")
