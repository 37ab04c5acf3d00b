"""Deep joint-semantics reconstructing hashing, as a baseline on the same features.

Su, Zhong, Zhang, ICCV 2019: cosines of image and text features, stretched to -1..1, are mixed
(equation 3), the mixture's products with itself are added (4, 5), and all is scaled (7); networks
learn codes whose cosines equal that, within and between the modalities (6). The settings of the
loss are theirs; networks, inputs, optimiser, batch and epochs are those of this case, so that the
two methods differ in what is learnt and not in what learns it.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss

from unstuck.cases.agch.dataset import Split
from unstuck.cases.agch.losses import cosines
from unstuck.cases.agch.model import Hasher
from unstuck.cases.agch.recipe import Recipe
from unstuck.cases.agch.train import batches, optimizer_of, schedule_of

IMAGES = 0.3  # beta: share of the image similarity; of their .3, .6, .9 best on emoji at 64 bits
SECOND = 0.4  # eta: share of the second order
SCALE = 1.5  # of the targets
WITHIN = 0.1  # weight of a modality's own similarities; between them it is 1


def djsrh(split: Split, bits: int, seed: int) -> dict[str, NDArray[np.int8]]:
    """Codes by name, (items, bits), of networks trained on the training items."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hasher = _trained(split, Recipe(bits=bits, graph=False, fusion="mean"), seed)
    sides = ("query", split.query), ("database", split.database)
    found = {f"{side}_image": _coded(hasher.images, pairs.images) for side, pairs in sides}
    found |= {f"{side}_text": _coded(hasher.texts, pairs.texts) for side, pairs in sides}
    return found


def joint_similarity(images: Tensor, texts: Tensor) -> Tensor:
    """Targets (m, m) of a batch, from its features (m, d) and words (m, words)."""
    image, text = (2 * cosines(x, x) - 1 for x in (images, texts))
    mixed = IMAGES * image + (1 - IMAGES) * text
    return SCALE * ((1 - SECOND) * mixed + SECOND * (mixed @ mixed.T) / len(mixed))


def _trained(split: Split, recipe: Recipe, seed: int) -> Hasher:
    train = split.train
    hasher = Hasher(train.images.shape[1], train.texts.shape[1], recipe)
    hasher.fit_inputs(train.images, train.texts)
    optimizer = optimizer_of(hasher, recipe)
    scheduler = schedule_of(optimizer, recipe, len(train) // recipe.batch_size)
    images, texts = hasher.inputs(train.images, train.texts)
    for epoch in range(recipe.epochs):
        for rows in batches(len(train), recipe.batch_size, seed * 10_000 + epoch):
            image, text = hasher.image(images[rows])[1], hasher.text(texts[rows])[1]
            wanted = joint_similarity(train.images[rows], texts[rows])
            loss = mse_loss(cosines(image, text), wanted)
            loss = loss + WITHIN * sum(mse_loss(cosines(b, b), wanted) for b in (image, text))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
    return hasher.eval()


@torch.no_grad()
def _coded(network: Callable[[Tensor], Tensor], inputs: Tensor) -> NDArray[np.int8]:
    """Signs of a network's codes; zero counts as 1."""
    return np.where(network(inputs).numpy() >= 0, 1, -1).astype(np.int8)
