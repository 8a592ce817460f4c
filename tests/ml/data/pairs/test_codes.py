"""Codes of pairs: the codec's own, cached, resumable, and typed for training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.audio.io import read_audio
from ml.codec import CodecConfig, TeluCodec
from ml.data.pairs import PairsError, PairSet, codes_key, make_codes
from ml.data.pairs import codes as codes_module
from ml.data.pairs.dataset import frame_phones
from ml.data.synthesis import PHONE_ID


@pytest.fixture(scope="module")
def codec() -> TeluCodec:
    torch.manual_seed(0)
    return TeluCodec(CodecConfig.named("tiny-dialogue")).fold()


@pytest.fixture(scope="module")
def encoded(tiny_pairs: Path, tmp_path_factory: pytest.TempPathFactory, codec: TeluCodec) -> Path:
    folder = tmp_path_factory.mktemp("encoded") / "pairs"
    shutil.copytree(tiny_pairs, folder)
    make_codes(folder, codec)
    return folder


def test_codes_in_batches_equal_codes_alone(encoded: Path, codec: TeluCodec) -> None:
    pairs = PairSet.load(encoded, codes_key(codec))
    for clip in [*pairs.questions[:5], *pairs.answers[:5]]:
        alone = codec.encode(torch.from_numpy(read_audio(clip.path))[None])[0].numpy()
        assert clip.codes.dtype == np.uint16
        assert clip.codes.shape == alone.shape
        assert (clip.codes == alone).mean() > 0.99  # sums in another order may move a code that stood on the edge


def test_pairs_are_complete_and_typed(encoded: Path, codec: TeluCodec) -> None:
    pairs = PairSet.load(encoded, codes_key(codec))
    assert pairs.pairs
    assert {pair.intent for pair in pairs.pairs} == set(pairs.intents)
    for pair in pairs.pairs:
        question, answer = pairs.questions[pair.question], pairs.answers[pair.answer]
        assert answer.answer_id == pair.answers[0]
        assert pairs.texts[answer.answer_id].text == answer.text
        assert question.split == pair.split
        assert pair.answer in pairs.renderings(answer.answer_id)
        for earlier, said in pair.context:
            assert pairs.questions[earlier].speaker == question.speaker
            assert pairs.renderings(said)
    for clip in [*pairs.questions, *pairs.answers]:
        start, end = clip.speech
        assert 0 <= start < end <= clip.codes.shape[1]
        assert len(clip.frame_phones) == clip.codes.shape[1]
        assert (clip.frame_phones[start + 1 : end - 1] > 0).mean() > 0.6
        assert PHONE_ID["sil"] not in clip.phones


def test_second_run_encodes_nothing_and_other_weights_have_other_codes(encoded: Path, codec: TeluCodec) -> None:
    assert make_codes(encoded, codec).encoded == 0
    torch.manual_seed(1)
    other = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    with pytest.raises(PairsError, match="python -m ml data codes"):
        PairSet.load(encoded, codes_key(other))
    decoder_trained_on = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    decoder_trained_on.load_state_dict(codec.state_dict())
    next(decoder_trained_on.decoder.parameters()).add_(1.0)
    assert codes_key(decoder_trained_on) == codes_key(codec)


def test_stopped_encoding_goes_on(
    tiny_pairs: Path, tmp_path: Path, codec: TeluCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pairs"
    shutil.copytree(tiny_pairs, folder)
    monkeypatch.setattr(codes_module, "SHARD_CLIPS", 60)

    def stop(step: int, total: int, *_: object, **__: object) -> None:
        if step > 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_codes(folder, codec, stop)
    partly = PairSet.load(folder, codes_key(codec))
    assert 0 < len(partly.questions) + len(partly.answers) == 60
    report = make_codes(folder, codec)
    assert report.encoded == report.clips - 60
    assert len(PairSet.load(folder, codes_key(codec)).pairs) > len(partly.pairs)


def test_frame_phones_follow_the_codecs_delay() -> None:
    # frame f sounds from f * 640 - 320 to f * 640 + 320: its middle is at f * 640
    told = frame_phones([("sil", 0.0, 0.09), ("a", 0.09, 0.17), ("m", 0.17, 0.2)], 7)
    assert told.tolist() == [0, 0, 0, PHONE_ID["a"], PHONE_ID["a"], 0, 0]
