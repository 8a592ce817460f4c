"""Models of the hub behind the same clip: tiny, with random weights, from a folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml.data.synthesis import NON_SPEECH, SynthesisError, phones_of
from ml.data.synthesis.hub import ParlerEngine, VitsEngine, estimated

transformers = pytest.importorskip("transformers", reason="transformers is optional (pip install transformers)")
TEXT = "నమస్కారం, 25 మంది"


@pytest.fixture(scope="module")
def tiny_vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vits")
    letters = [chr(code) for code in range(0x0C00, 0x0C80)]
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<unk>", " ", ",", *letters])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    transformers.VitsTokenizer(str(folder / "vocab.json"), phonemize=False, language="tel").save_pretrained(folder)
    config = transformers.VitsConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=33,
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1,
        duration_predictor_filter_channels=16,
        depth_separable_num_layers=1,
        upsample_initial_channel=16,
        upsample_rates=[8, 8, 4],
        upsample_kernel_sizes=[16, 16, 8],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
        num_speakers=3,
        speaker_embedding_size=4,
        sampling_rate=16_000,
    )
    transformers.VitsModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(tiny_vits: Path) -> VitsEngine:
    return VitsEngine(tiny_vits)


def test_a_model_of_the_hub_gives_a_clip_with_all_phones(engine: VitsEngine) -> None:
    clip = engine.say(TEXT, seed=1)
    assert clip.timing == "estimated"
    assert clip.engine.startswith("vits:")
    assert clip.audio.dtype == np.float32
    assert np.abs(clip.audio).max() <= 1
    assert tuple(phone.symbol for phone in clip.phones if phone.symbol not in NON_SPEECH) == phones_of(TEXT)
    assert clip.phones[-1].end == pytest.approx(len(clip.audio) / 16_000, abs=1e-3)


def test_seeds_and_speakers_matter_and_repeat(engine: VitsEngine) -> None:
    first = engine.say(TEXT, seed=1)
    assert np.array_equal(first.audio, engine.say(TEXT, seed=1).audio)
    assert not np.array_equal(first.audio, engine.say(TEXT, seed=2).audio)
    assert not np.array_equal(first.audio, engine.say(TEXT, seed=1, speaker="2").audio)
    with pytest.raises(SynthesisError, match="speakers 0 to 2"):
        engine.say(TEXT, speaker="7")


def test_a_wrong_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=r"holds no VITS tokenizer: give the folder with config\.json"):
        VitsEngine(tmp_path)


def test_weights_that_would_be_unpickled_are_refused(tiny_vits: Path, tmp_path: Path) -> None:
    for path in tiny_vits.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(SynthesisError, match="cannot be opened"):
        VitsEngine(tmp_path)


def test_nothing_to_say_is_told(engine: VitsEngine) -> None:
    with pytest.raises(SynthesisError, match="nothing to say"):
        engine.say("?!")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "parler_tts" else True)
    with pytest.raises(SynthesisError, match="pip install parler-tts"):
        ParlerEngine("somewhere/parler")


def test_estimated_phones_touch_and_fill_the_speech() -> None:
    phones = estimated(TEXT, 2.0)
    assert [phone.start for phone in phones[1:]] == [phone.end for phone in phones[:-1]]
    assert phones[-1].end == pytest.approx(2.11)
