"""The linear probe: how well a linear classifier tells classes apart on frozen features.

Zhang, Isola, Efros, "Colorful Image Colorization" (2016), section 3.2: the features stay as they
are, one linear layer learns from labels.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import Tensor


def linear_probe(train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """Test accuracy of logistic regression on features (n, ...).

    Features are centred and share one scale, so that the penalty means the same for every encoder.
    """
    train, test = (x.detach().flatten(1).double().numpy() for x in (train_x, test_x))
    mean = train.mean(0)
    scale = np.sqrt(((train - mean) ** 2).mean()) + 1e-9
    classifier = LogisticRegression(max_iter=2000).fit((train - mean) / scale, train_y.numpy())
    return float(classifier.score((test - mean) / scale, test_y.numpy()))
