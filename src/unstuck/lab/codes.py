"""What can be said of codes (n, d), one row a sample: their spread, rank, kinds, likeness."""

import math

import torch
from torch import Tensor

MOST_COLUMNS = 16384
TINY = 1e-12
SAME = 1e-5  # cosines closer than this are equal: codes that are all alike rank nothing
FOLDS = 5
RIDGE = 1e-2  # of the mean squared size of a centred code


def as_rows(x: Tensor) -> Tensor:
    """A batch (n, ...) as doubles (n, d), of many columns a regular part."""
    x = x.detach().flatten(1)
    x = torch.view_as_real(x).flatten(1) if x.is_complex() else x
    return x[:, :: -(-x.shape[1] // MOST_COLUMNS)].cpu().double()


def spread(x: Tensor) -> tuple[float, float]:
    """Mean standard deviation over the batch at fixed position, and the root mean square."""
    return float(x.std(dim=0, correction=0).mean()), float(x.square().mean().sqrt())


def effective_rank(x: Tensor) -> float:
    """exp of the entropy of the singular values of the centred codes (Roy & Vetterli); 0: none."""
    values = torch.linalg.svdvals(x - x.mean(0))
    share = values / values.sum().clamp_min(TINY)
    share = share[share > TINY]
    return float((-(share * share.log()).sum()).exp()) if len(share) else 0.0


def sign_patterns(x: Tensor) -> float:
    """Different patterns of signs over samples."""
    return len((x > 0).unique(dim=0)) / len(x)


def uniformity(x: Tensor) -> float:
    """log of the mean of exp(-2 d^2) over pairs on the unit sphere (Wang & Isola); 0: all alike."""
    distance = torch.nn.functional.pdist(unit(x))
    return float(torch.logsumexp(-2 * distance.square(), 0)) - math.log(len(distance))


def unit(x: Tensor) -> Tensor:
    """Rows of length one."""
    length: Tensor = x.norm(dim=1, keepdim=True)
    return x / length.clamp_min(TINY)


def agreement(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Share of the others that are less like a sample than its partner is; their mean cosine.

    Both ways, ties for one half: 0.5 is chance.
    """
    cosine = unit(a) @ unit(b).T
    other = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    partner = cosine.diagonal()
    won = [torch.sign(_beyond(partner[:, None] - c))[other].mean() for c in (cosine, cosine.T)]
    return float((2 + won[0] + won[1]) / 4), float(cosine[other].mean())


def _beyond(x: Tensor) -> Tensor:
    return x * (x.abs() > SAME)


def paired_distance(a: Tensor, b: Tensor) -> float:
    """Mean distance of partners over that of strangers; 1 where partners are no nearer."""
    distance = torch.cdist(a, b)
    other = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    return float(distance.diagonal().mean() / distance[other].mean().clamp_min(TINY))


def told_apart(a: Tensor, b: Tensor) -> float:
    """Accuracy of a linear probe that tells codes of one domain from the other's; 0.5 is chance.

    Ridge regression, cross-validated; both codes of a sample are on one side.
    """
    fold = torch.arange(len(a), device=a.device) % FOLDS
    right = 0.0
    for number in range(FOLDS):
        out = fold == number
        x = torch.cat([a[~out], b[~out]])
        y = torch.cat([torch.ones(len(x) // 2), -torch.ones(len(x) // 2)]).to(x)
        middle, size = x.mean(0), (x - x.mean(0)).square().sum(1).mean().clamp_min(TINY)
        inner = (x - middle) @ (x - middle).T  # samples are fewer than columns, often
        inner.diagonal().add_(RIDGE * size)
        weight = (x - middle).T @ torch.linalg.solve(inner, y)
        right += float((((a[out] - middle) @ weight) > 0).double().sum())
        right += float((((b[out] - middle) @ weight) < 0).double().sum())
    return right / (2 * len(a))


def nearest(x: Tensor) -> float:
    """Median over samples of the distance to the nearest other one."""
    distance = torch.cdist(x, x)
    distance.fill_diagonal_(float("inf"))
    return float(distance.min(1).values.median())
