"""A judge of generated pictures: a small classifier, its features and a Frechet distance on them.

The distance is that of FID (Heusel et al., "GANs trained by a two time-scale update rule", 2017)
with the features of a classifier of this very data in place of Inception's: its numbers compare
with each other, not with published FIDs.

    d^2 = |mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from torch import Tensor
from torch.nn import functional as F

from unstuck.cases.course.data import digits
from unstuck.cases.course.data.fashion import Pictures

Array = NDArray[np.float64]
FEATURES = 48
EPOCHS = 15


def small_digits(train: int, size: int = 16, *, sample: bool = False) -> Pictures:
    """Digits of `size` px in [-1, 1]: padded to 32 px and averaged down."""
    data = digits.load(train, sample=sample)
    train_x, test_x = (
        2 * F.avg_pool2d(F.pad(x, (2, 2, 2, 2)), 32 // size) - 1
        for x in (data.train_x, data.test_x)
    )
    return Pictures(train_x, data.train_y, test_x, data.test_y)


class Judge:
    """A perceptron with one hidden layer, trained on labelled pictures, always the same way."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.network = MLPClassifier((FEATURES,), learning_rate_init=3e-3, random_state=0)
        for _ in range(EPOCHS):
            self.network.partial_fit(_flat(x), y.numpy(), classes=np.arange(10))

    def features(self, x: Tensor) -> Array:
        """(n, FEATURES): what the hidden layer puts out."""
        return np.maximum(_flat(x) @ self.network.coefs_[0] + self.network.intercepts_[0], 0)

    def classes(self, x: Tensor) -> NDArray[np.int64]:
        return self.network.predict(_flat(x))

    def distance(self, real: Tensor, made: Tensor) -> float:
        """The Frechet distance between two sets of pictures."""
        return frechet_distance(self.features(real), self.features(made))


def frechet_distance(a: Array, b: Array) -> float:
    """Between Gaussians fitted to the rows of `a` and of `b`, squared as in FID."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # the eigenvalues of a product of two covariances are real and not negative
    roots = np.sqrt(np.clip(np.linalg.eigvals(cov_a @ cov_b).real, 0, None)).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def gaussian_like(x: Tensor, count: int, seed: int) -> Tensor:
    """Pictures from a Gaussian with the mean and covariance of the pixels of `x`: a baseline."""
    flat = _flat(x)
    drawn = np.random.default_rng(seed).multivariate_normal(
        flat.mean(0), np.cov(flat, rowvar=False), count
    )
    return x.new_tensor(drawn).reshape(count, *x.shape[1:]).clamp(-1, 1)


def _flat(x: Tensor) -> Array:
    return x.detach().flatten(1).double().numpy()
