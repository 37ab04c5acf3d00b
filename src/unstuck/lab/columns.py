"""Is a target of one number a sample one of the columns of the input?"""

import torch
from torch import Tensor

from unstuck.lab.places import equal_share

ENOUGH = 32  # samples, below which a column may go with the target by chance
FEWEST = 3  # columns: with fewer the target may well be meant to be one of them
MOST = 100_000  # columns that are looked at


def best_column(x: Tensor, target: Tensor) -> tuple[float, str] | None:
    """Share of targets that equal one column of the input (or do in its units), and its name.

    The column that goes with the target best is called "column 3" of inputs (n, columns), "place 3
    of 40" of others. None for fewer than ENOUGH samples or FEWEST columns, and for a target that is
    constant or more than a number a sample.
    """
    if x.ndim < 2 or x.is_complex() or target.is_complex() or len(x) < ENOUGH:
        return None
    if target.numel() != len(x) or x[0].numel() < FEWEST:
        return None
    columns = x.detach().flatten(1)[:, :MOST].cpu().double()
    aim = target.detach().flatten().cpu().double()
    columns, aim = columns - columns.mean(0), aim - aim.mean()
    size = columns.norm(dim=0) * aim.norm()
    if not bool(size.isfinite().all()) or not bool((size > 0).any()):
        return None
    share = torch.where(size > 0, (aim @ columns).abs() / size.clamp_min(1e-300), 0.0)
    best = int(share.argmax())
    where = f"column {best}" if x.ndim == 2 else f"place {best} of {columns.shape[1]}"
    return equal_share(columns[:, best : best + 1], aim.unsqueeze(1)), where
