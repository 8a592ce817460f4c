"""A small classifier for measuring: standardised features, multinomial logistic regression with a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A fitted classifier."""

    mean: Array
    scale: Array
    weights: Array
    """[features + 1, classes], the last row the bias."""

    def predict(self, features: Array) -> NDArray[np.int64]:
        """Class index of each row."""
        return np.argmax(_with_one((features - self.mean) / self.scale) @ self.weights, axis=1)


def _with_one(x: Array) -> Array:
    return np.concatenate((x, np.ones((len(x), 1))), axis=1)


def fit(features: Array, labels: NDArray[np.int64], classes: int, ridge: float = 1e-2) -> Linear:
    """Fit on rows of ``features``; ``ridge`` is the weight of the squared norm beside the mean log-likelihood."""
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = _with_one((features - mean) / scale)
    target = np.eye(classes)[labels]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(x.shape[1], classes)
        logits = x @ weights
        logits -= logits.max(axis=1, keepdims=True)
        soft = np.exp(logits)
        total = soft.sum(axis=1, keepdims=True)
        soft /= total
        value = float(-np.mean(np.sum(target * (logits - np.log(total)), axis=1)))
        gradient = x.T @ (soft - target) / len(x)
        kept = weights.copy()
        kept[-1] = 0.0
        return value + 0.5 * ridge * float(np.sum(kept**2)), (gradient + ridge * kept).ravel()

    found = optimize.minimize(
        loss, np.zeros(x.shape[1] * classes), jac=True, method="L-BFGS-B", options={"maxiter": 400}
    )
    return Linear(mean, scale, found.x.reshape(x.shape[1], classes))
