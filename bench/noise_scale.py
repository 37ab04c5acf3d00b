"""How near the gradient noise scale comes to its exact value on linear-Gaussian models.

    python bench/noise_scale.py [--seeds 30] [--repetitions 400]

First table: the probe on y = x w* + noise at distance 1 from w*, where the scale is
dim + 1 + noise^2 dim. Second: how often the 95 % interval holds it.
"""

import argparse
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from unstuck.examine import performed
from unstuck.lab.gradient_noise import noise_scale_of
from unstuck.lab.subject import Subject
from unstuck.probes.noise_scale import noise_scale

MODELS = ((4, 0.5), (4, 3.0), (20, 0.1), (20, 2.0), (100, 1.0), (400, 0.5))
SETTINGS = (  # dim, noise, samples, micro-batches
    (1, 1.0, 512, 64), (5, 0.1, 512, 64), (10, 1.0, 256, 16), (10, 1.0, 1024, 64),
    (50, 2.0, 512, 32), (50, 2.0, 2048, 64), (100, 3.0, 256, 32), (100, 5.0, 128, 8),
    (200, 1.0, 2048, 64), (2000, 1.0, 512, 64),
)  # fmt: skip


def of_probe(dim: int, noise: float, seed: int) -> float:
    torch.manual_seed(seed)
    model = nn.Linear(dim, 1, bias=False)
    nn.init.zeros_(model.weight)
    wanted = F.normalize(torch.randn(1, dim))
    size = int(64 * (2 + noise**2))  # 16 of them tell the signal to 6 %
    data = []
    for _ in range(16):
        x = torch.randn(size, dim)
        data.append((x, x @ wanted.T + noise * torch.randn(size, 1)))
    found = performed(noise_scale, Subject(model, data[0], F.mse_loss, batches=data)).facts
    return float(found["noise_scale/model/samples"])


def held(dim: int, noise: float, samples: int, parts: int, repetitions: int) -> float:
    rng = np.random.default_rng(0)
    exact, count = dim + 1 + noise**2 * dim, 0
    for _ in range(repetitions):
        x, e = rng.normal(size=(samples, dim)), noise * rng.normal(size=samples)
        each = (2 * x * (x[:, 0] - e)[:, None]).reshape(parts, -1, dim).mean(1)
        found = noise_scale_of(each @ each.T, samples // parts)
        count += found.low <= exact <= found.high
    return count / repetitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--repetitions", type=int, default=400)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("dim  noise  exact   mean error  spread  worst  within 20 %")
    for dim, noise in MODELS:
        exact = dim + 1 + noise**2 * dim
        wrong = np.array([of_probe(dim, noise, s) / exact - 1 for s in range(options.seeds)])
        print(
            f"{dim:3}  {noise:5}  {exact:6.1f}  {wrong.mean():+9.1%}  {wrong.std():6.1%}  "
            f"{abs(wrong).max():5.1%}  {np.mean(abs(wrong) < 0.2):6.1%}"
        )
    print("dim   noise  samples  parts  interval holds it")
    for setting in SETTINGS:
        dim, noise, samples, parts = setting
        share = held(*setting, options.repetitions)
        print(f"{dim:4}  {noise:5}  {samples:7}  {parts:5}  {share:6.1%}")


if __name__ == "__main__":
    main()
