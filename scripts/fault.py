"""One of the small trainings of `trainings/` as a script: what `unstuck fix` is tried on.

python scripts/fault.py rate_too_high_adam [--seed 0]
"""

import argparse

import torch
from record_runs import all_trainings


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="a function of trainings/")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    training = next((t for t in all_trainings() if t.name == options.name), None)
    if training is None or training.ranks > 1:
        parser.error(f"there is no training of one process called {options.name[:80]!r}")
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    training.body()


if __name__ == "__main__":
    main()
