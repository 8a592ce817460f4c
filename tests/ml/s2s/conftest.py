"""A small model with random weights that the tests of S2S share."""

import pytest
import torch

from ml.s2s import S2SConfig, S2SModel


def random_model(**changes: object) -> S2SModel:
    """The tiny preset with weights that leave no path silent (biases and modulation start at or near zero)."""
    torch.manual_seed(1)
    model = S2SModel(S2SConfig.named("tiny", **{"n_intents": 5, "n_plans": 7, "score_length": 20, **changes}))
    if model.score is not None:
        model.set_scores([[(plan * 5 + i) % 49 for i in range(9 + plan)] for plan in range(7)])
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "modulate" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def model() -> S2SModel:
    return random_model()


@pytest.fixture(scope="session")
def precise() -> S2SModel:
    """The same in fp64: a sum in another order then flips no drawn code."""
    return random_model().double()


@pytest.fixture(scope="session")
def random_phrases() -> S2SModel:
    """One that chooses its plan from phrases."""
    return random_model(phrase_buckets=512, n_acts=4)
