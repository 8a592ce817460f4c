"""What an operator promoted is there after a restart too; damaged, it keeps nobody silent."""

from pathlib import Path

import pytest
import torch

from ml.codec import CheckpointError, CodecConfig, TeluCodec, export_codec
from ml.codec.checkpoint import read_card
from ml.recogniser.config import RecogniserConfig
from ml.recogniser.model import PhoneNet
from ml.recogniser.recogniser import export_recogniser
from ml.serve.app import load_recogniser
from ml.serve.shelf import Shelf


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Shipped and promoted weights, both under the name of the served preset."""
    for seed, name in enumerate(("shipped", "promoted")):
        torch.manual_seed(seed)
        codec = TeluCodec(CodecConfig.named("tiny"))
        export_codec(codec, tmp_path / name / "codec-hifi.safetensors", {}, dtype=torch.float32)
    return tmp_path / "shipped", tmp_path / "promoted"


def served(shipped: Path, promoted: Path | None) -> str:
    shelf = Shelf(shipped, torch.device("cpu"), 1, promoted)
    shelf.start("hifi", "cpu")
    assert shelf.hifi is not None
    return str(shelf.hifi.card["sha256"])


def sha(folder: Path) -> str:
    return str(read_card(folder / "codec-hifi.safetensors")["sha256"])


def test_promoted_weights_come_first(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shipped, promoted = folders
    assert served(shipped, promoted) == sha(promoted)
    assert served(shipped, tmp_path / "nothing there") == sha(shipped)
    assert served(shipped, None) == sha(shipped)


def test_damaged_ones_are_not_used(folders: tuple[Path, Path]) -> None:
    shipped, promoted = folders
    (promoted / "codec-hifi.safetensors").write_bytes(b"half a file")
    assert served(shipped, promoted) == sha(shipped)
    (shipped / "codec-hifi.safetensors").write_bytes(b"half a file")
    with pytest.raises(CheckpointError):
        served(shipped, promoted)


def test_so_is_a_recogniser(tmp_path: Path) -> None:
    """Made small here: the first folder that has a sound one is where captions come from."""
    made = {}
    for seed, name in enumerate(("shipped", "promoted")):
        torch.manual_seed(seed)
        net = PhoneNet(RecogniserConfig.named("tiny"))
        export_recogniser(net, tmp_path / name / "recogniser.safetensors", {"preset": "tiny"}, torch.float32)
        made[name] = net.state_dict()
    shipped, promoted = tmp_path / "shipped", tmp_path / "promoted"

    def served(*folders: Path | None) -> str:
        found = load_recogniser(*folders)
        assert found is not None
        own = found.net.state_dict()
        return next(name for name, state in made.items() if all(torch.equal(own[k], v) for k, v in state.items()))

    assert served(promoted, shipped) == "promoted"
    assert served(None, shipped) == "shipped"
    (promoted / "recogniser.safetensors").write_bytes(b"damaged")
    assert served(promoted, shipped) == "shipped"
    assert load_recogniser(None, tmp_path) is None
