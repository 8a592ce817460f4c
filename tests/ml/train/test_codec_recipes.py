"""Named recipes are what the documentation says they are."""

import dataclasses
import json

import pytest

from ml.cli.train_run import overridden
from ml.codec.config import ConfigError
from ml.train.config import RECIPES, CodecTrainConfig


def test_the_reference_recipe_has_the_published_weights() -> None:
    """adv 1, feat 10, recon 0.1, vq 1, with every discriminator, and nothing of our own beside them."""
    recipe = RECIPES["hifi-adversarial"]
    assert {name: weight for name, weight in dataclasses.asdict(recipe.loss).items() if weight} == {
        "adversarial": 1.0,
        "feature": 10.0,
        "l1": 0.1,  # the reconstruction terms: waveform, mel, multi-scale STFT
        "mel": 0.1,
        "stft": 0.1,
        "commitment": 1.0,
    }
    assert recipe.discriminators is not None
    assert recipe.discriminators.periods == (2, 3, 5, 7, 11)
    assert recipe.discriminators.n_ffts == (2048, 1024, 512)
    assert 0 < recipe.adversarial_from < recipe.steps
    assert (recipe.clip, recipe.codec.ema_decay, recipe.codec.commitment) == (1.0, 0.99, 0.25)


def test_it_trains_the_model_that_the_best_one_found_does() -> None:
    assert RECIPES["hifi-adversarial"].codec == RECIPES["hifi-perceptual"].codec


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_known_by_its_name_and_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    assert CodecTrainConfig.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ("loss.level=abc", "a number"),
        ("steps=true", "a number"),
        ("autocast=1", "true or false"),
        ("nothing=1", "no set"),
    ],
)
def test_a_setting_of_another_kind_is_refused_before_anything_begins(item: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        overridden(RECIPES["hifi-loudness"], [item])


def test_settings_are_replaced_where_they_stand() -> None:
    chosen = overridden(RECIPES["hifi-loudness"], ["loss.level=2", "loss.mel=.5", "autocast=false", "init=some/file"])
    assert (chosen.loss.level, chosen.loss.mel, chosen.autocast, chosen.init) == (2, 0.5, False, "some/file")
