"""How far a drawn character is from the real one: L1, and the structural similarity SSIM.

Pictures are (n, 1, size, size) in [-1, 1]: -1 is ink, 1 is paper. Both measures see them in [0, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11  # px
SIGMA = 1.5  # px
K1, K2 = 0.01, 0.03  # of a data range of 1


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each picture (n,), on the scale of 0 to 1."""
    _alike(a, b)
    return (a - b).abs().flatten(1).mean(1) / 2


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each picture (n,), 1 for equal ones.

    Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004):
    Gaussian window of 11 px and 1.5 px deviation, data range 1, means over the places where the
    whole window is on the picture. At least 11 px a side.
    """
    _alike(a, b)
    if min(a.shape[2:]) < WINDOW:
        raise ValueError(f"SSIM needs pictures of at least {WINDOW} px, not {tuple(a.shape[2:])}")
    a, b = (a.double() + 1) / 2, (b.double() + 1) / 2
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a**2
    var_b = _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    c1, c2 = K1**2, K2**2
    found = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    found = found / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return found.flatten(1).mean(1).float()


def _alike(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.dim() != 4 or a.shape[1] != 1:
        raise ValueError(
            f"two sets of pictures (n, 1, size, size) are needed, not {tuple(a.shape)} and "
            f"{tuple(b.shape)}"
        )


def _blurred(x: Tensor) -> Tensor:
    """(n, 1, h, w) -> (n, 1, h - 10, w - 10): one pass down, one across."""
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-(at**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(x, weights[None, None, :, None]), weights[None, None, None])
