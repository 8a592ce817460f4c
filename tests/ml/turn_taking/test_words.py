"""What phones tell: backchannels apart from words, ends of sentences apart from pauses."""

import pytest

from ml.data.synthesis import phones_of
from ml.turn_taking.words import Endings, finished_by, sort_of


@pytest.mark.parametrize("text", ["ఆఁ", "ఊఁ", "అవును", "సరే", "ఓహో", "అవును అవును", "అలాగే"])
def test_backchannels_are_known_from_their_beginning_on(text: str) -> None:
    phones = phones_of(text)
    assert [sort_of(phones[:n]) for n in range(1, len(phones) + 1)] == ["backchannel"] * len(phones)


@pytest.mark.parametrize("text", ["ఆగండి", "వద్దు", "అది వద్దు", "ఒక్క నిమిషం", "అవును కానీ నాకు వేరే కథ కావాలి"])
def test_words_are_none(text: str) -> None:
    assert sort_of(phones_of(text)) == "words"


def test_a_misheard_phone_changes_nothing() -> None:
    assert sort_of(["s", "aa", "r", "ee"]) == "backchannel"
    assert sort_of(["a", "g", "a", "N", "D"]) == "words"
    assert sort_of([]) == "nothing"


def test_a_sentence_ends_with_its_verb() -> None:
    sentences = ["నాకు కథ చెప్పండి", "మీరు పాట పాడండి", "రేపు వర్షం పడుతుందా", "ఇక్కడ కూర్చోండి", "నాకు నీళ్ళు ఇవ్వండి"]
    endings = Endings([[phones_of(word) for word in sentence.split()] for sentence in sentences])
    verb, inner = (endings.probability(phones_of(text)) for text in ("మాకు దారి చూపండి", "నాకు కథ"))
    assert inner < 0.5 < verb
    assert endings.probability([]) == 0.5
    assert finished_by(0.5, inner) < 0.5 < finished_by(0.5, verb)
