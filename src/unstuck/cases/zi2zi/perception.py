"""Pictures as a network trained on photographs sees them: MobileNetV2, frozen.

The network has never seen type, so its distances are no measure of a font; edges and strokes are in
its first layers all the same. It is not the VGG of Johnson et al., "Perceptual losses for real-time
style transfer" (2016), nor the Inception network of the Frechet inception distance: figures made
with it compare with nothing but figures made with it.
"""

import itertools
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unstuck.data import mobilenet

LOW = (1, 3)  # entries of `features` whose output is told: 16 channels at 1/2, 24 at 1/4 of a side
DEEP = (10, 17)  # 64 channels at 1/16, 320 at 1/32
AXES = 64  # of the Frechet distance
SIZE = 128  # px, of pictures whose last layer is asked for
TWO = "distances of sets need at least two pictures on either side"
BATCH = 64  # pictures at a time, where no gradient is asked for


@cache
def network(device: str) -> nn.Module:
    """The convolutions with their ImageNet weights, frozen; PackageError where they are not had."""
    layers = mobilenet.load().features
    for module in list(layers.modules()):
        if isinstance(module, nn.Sequential):
            _fuse(module)
    return layers.to(device).requires_grad_(False)


def _fuse(layers: nn.Sequential) -> None:
    """Normalisations by known figures become part of the convolutions: a third less time."""
    for i, (conv, norm) in enumerate(itertools.pairwise(list(layers))):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def low(x: Tensor) -> list[Tensor]:
    """(n, 1, s, s) in [-1, 1] -> maps of the first blocks, which see edges; gradients reach x."""
    return _maps(x, LOW)


def deep(x: Tensor) -> list[Tensor]:
    """(n, 1, s, s) in [-1, 1] -> maps of late blocks, which see objects; gradients reach x."""
    return _maps(x, DEEP)


def pooled(x: Tensor) -> Tensor:
    """(n, 1, s, s) in [-1, 1] -> (n, 1280): the last layer, its mean over places; no gradient.

    Pictures are seen at 128 px. At 64 px a blur that a reader hardly sees is as far as a heavy one.
    """
    with torch.no_grad():
        parts = [network(str(x.device))(_input(_seen(p))).mean((2, 3)) for p in x.split(BATCH)]
    return torch.cat(parts)


def _seen(x: Tensor) -> Tensor:
    if x.shape[-1] == SIZE:
        return x
    return F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Perceptual distance of each pair (n,): of the low maps, after Zhang et al. (LPIPS, 2018).

    Each place's channels have length 1, and the squared difference is summed over channels and
    averaged over places and maps; nothing is learnt from people's judgements. 0 to 4.
    """
    with torch.no_grad():
        parts = [_distance(*pair) for pair in zip(a.split(BATCH), b.split(BATCH), strict=True)]
    return torch.cat(parts)


def frechet(drawn: Tensor, real: Tensor) -> float:
    """Distance of the Gaussians that are fitted to `pooled` features of two sets of pictures.

    Dowson and Landau (1982), as Heusel et al. use it (2017), but of MobileNetV2's features: this is
    no FID. A few hundred pictures cannot fill 1,280 dimensions, so the features are first put on
    the `AXES` principal axes of the real ones (all there are, where there are fewer pictures): what
    leaves these axes is not seen. It still falls with the number of pictures, and compares only
    at one number. `kernel` has neither fault, and more noise.
    """
    return frechet_distance(pooled(drawn), pooled(real))


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """The same of features x (n, d) of drawn pictures and y (m, d) of real ones."""
    if min(len(x), len(y)) < 2:
        raise ValueError(TWO)
    x, y = x.double(), y.double()
    axes = torch.linalg.svd(y - y.mean(0), full_matrices=False).Vh[: min(AXES, len(y) - 1)]
    return gaussian_distance(x @ axes.T, y @ axes.T)


def gaussian_distance(x: Tensor, y: Tensor) -> float:
    """|m - m'|^2 + trace(C + C' - 2 sqrt(C C')) of rows x (n, d) and y (m, d)."""
    if min(len(x), len(y)) < 2:
        raise ValueError(TWO)
    cx, cy = (torch.atleast_2d(torch.cov(v.double().T)) for v in (x, y))
    root = _root(cx)
    between = torch.linalg.eigvalsh(root @ cy @ root).clamp(min=0).sqrt().sum()
    apart = (x.double().mean(0) - y.double().mean(0)).square().sum()
    return max(0.0, float(apart + cx.trace() + cy.trace() - 2 * between))


def _root(c: Tensor) -> Tensor:
    """The root of a symmetric matrix without negative eigenvalues, but for rounding."""
    values, vectors = torch.linalg.eigh(c)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def kernel(drawn: Tensor, real: Tensor) -> float:
    """Squared maximum mean discrepancy of `pooled` features: near 0, below it by chance, for alike.

    Binkowski et al., "Demystifying MMD GANs" (2018): kernel (x.y / d + 1)^3, unbiased for any
    number of pictures from two on that are drawn apart; of the same characters it is a bit lower,
    and below 0 where the pictures are the same.
    """
    return kernel_distance(pooled(drawn), pooled(real))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """The same of rows x (n, d) and y (m, d)."""
    if min(len(x), len(y)) < 2:
        raise ValueError(TWO)
    x, y = x.double(), y.double()
    xx, yy, xy = (((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return float(within[0] + within[1] - 2 * xy.mean())


def _distance(a: Tensor, b: Tensor) -> Tensor:
    both = zip(low(a), low(b), strict=True)
    found = [(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in both]
    return torch.stack(found).mean(0)


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-8)


def _maps(x: Tensor, entries: tuple[int, ...]) -> list[Tensor]:
    layers, x, found = network(str(x.device)).children(), _input(x), []
    for i, layer in enumerate(itertools.islice(layers, max(entries) + 1)):
        x = layer(x)
        if i in entries:
            found.append(x)
    return found


def _input(x: Tensor) -> Tensor:
    """Grey to RGB, and normalised as the network's photographs were."""
    if x.dim() != 4 or x.shape[1] != 1:
        raise ValueError(f"pictures (n, 1, size, size) are needed, not {tuple(x.shape)}")
    mean, std = (x.new_tensor(v)[:, None, None] for v in (mobilenet.MEAN, mobilenet.STD))
    return ((x + 1) / 2 - mean) / std
