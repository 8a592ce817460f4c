"""Text to phones: what people write must be said, and nothing may vanish unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.data.corpus.loader import load_corpus
from ml.data.synthesis import NON_SPEECH, PHONE_ID, PHONES, VOWELS, phones_of
from ml.data.synthesis.g2p import analyse
from ml.data.synthesis.latin import latin_to_telugu
from ml.data.synthesis.normalise import normalise, number_words


def test_the_inventory_is_what_weights_were_trained_on() -> None:
    assert " ".join(PHONES) == (
        "sil a aa i ii u uu e ee ai o oo au k kh g gh ng c ch j jh ny T Th D Dh N t th d dh n p b bh m f "
        "y r l v L s sh S h breath laugh"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "సున్నా"),
        (18, "పద్దెనిమిది"),
        (21, "ఇరవై ఒకటి"),
        (100, "వంద"),
        (101, "నూట ఒకటి"),
        (250, "రెండు వందల యాభై"),
        (1000, "వెయ్యి"),
        (2026, "రెండు వేల ఇరవై ఆరు"),
        (100_000, "లక్ష"),
        (250_000, "రెండు లక్షల యాభై వేలు"),
        (10_000_000, "కోటి"),
        (-5, "మైనస్ ఐదు"),
    ],
)
def test_numbers_are_said_as_telugu_says_them(value: int, words: str) -> None:
    assert number_words(value) == words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("₹500 ఇవ్వండి", "ఐదు వందలు రూపాయలు ఇవ్వండి"),
        ("౨౫ మంది", "ఇరవై ఐదు మంది"),
        ("5:30 కి రండి", "ఐదు ముప్పై కి రండి"),
        ("1,05,000 మంది", "లక్ష ఐదు వేలు మంది"),
        ("3.5 కిలోలు", "మూడు పాయింట్ ఐదు కిలోలు"),
        ("0866 కి", "సున్నా ఎనిమిది ఆరు ఆరు కి"),
        ("Hello గురువు", "హలో గురువు"),
        ("ఆగు... చెప్తా", "ఆగు… చెప్తా"),
        ("“సరే” — అన్నాడు", "సరే, అన్నాడు"),
        ("అలాగా?!", "అలాగా?"),
    ],
)
def test_signs_numbers_and_english_are_written_out(text: str, plain: str) -> None:
    assert normalise(text).text == plain
    assert normalise(text).skipped == ()


def test_what_cannot_be_said_is_recorded() -> None:
    found = analyse("నమస్తే 你好 😀")
    assert found.skipped == ("你", "好", "😀")
    assert found.phones == phones_of("నమస్తే")


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("నమస్కారం", "n a m a s k aa r a m"),
        ("వంకాయ", "v a ng k aa y a"),
        ("మంచి", "m a ny c i"),
        ("పండు", "p a N D u"),
        ("వంద", "v a n d a"),
        ("అంబ", "a m b a"),
        ("సంవత్సరం", "s a m v a t s a r a m"),
        ("దుఃఖం", "d u k kh a m"),
        ("అంతః", "a n t a h a"),
        ("జ్ఞానం", "g ny aa n a m"),
        ("కృష్ణ", "k r u S N a"),
        ("ఋషి", "r u S i"),
        ("బర్త్‌డే", "b a r t D ee"),
        ("ఫోన్", "f oo n"),
        ("అమ్మ", "a m m a"),
        ("ఏఐ", "ee ai"),
    ],
)
def test_pronunciation(word: str, phones: str) -> None:
    assert phones_of(word) == tuple(phones.split())


def test_every_answer_and_phrasing_of_the_corpus_is_said_whole() -> None:
    corpus = load_corpus()
    asks = [intent.ask for intent in corpus.intents.values()] + [kind.ask for kind in corpus.followups.values()]
    texts = {answer.text for answer in corpus.answers()} | {text for ask in asks for _, text in ask.items()}
    texts |= {text for chain in corpus.chains for turn in chain.turns for _, text in turn.ask.items()}
    assert len(texts) > 4_000
    for text in texts:
        sentence = analyse(text)
        assert sentence.skipped == (), text
        assert sentence.words, text
        for word in sentence.words:
            assert set(word.phones) & set(VOWELS), text


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_gives_phones_of_the_inventory(text: str) -> None:
    sentence = analyse(text)
    for phone in sentence.phones:
        assert phone in PHONE_ID
        assert phone not in NON_SPEECH
    for word in sentence.words:
        assert [at for begin, end in word.syllables for at in range(begin, end)] == list(range(len(word.phones)))


@given(st.from_regex(r"[A-Za-z]{1,12}", fullmatch=True))
def test_any_latin_word_becomes_telugu(word: str) -> None:
    assert phones_of(latin_to_telugu(word))
