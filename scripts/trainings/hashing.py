"""Digits and their words hashed to binary codes: targets, balance, quantisation, two modalities."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, step
from trainings.told import tell

BITS = 16
WORDS = 40  # four of them are said of one kind of digit, the others of any
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def tags(labels: Tensor) -> Tensor:
    """Bags of words (n, WORDS): some words of the digit's own, some of no meaning."""
    own = F.one_hot(labels, 10).repeat_interleave(WORDS // 10, dim=1)
    return ((own > 0) & (torch.rand(own.shape) < 0.7) | (torch.rand(own.shape) < 0.05)).float()


PIXELS = (IMAGES - IMAGES.mean(0)) / IMAGES.std()


def network(inputs: int, bits: int = BITS) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, bits), nn.Tanh())


def cosines(x: Tensor, *, centred: bool) -> Tensor:
    """Cosines of features: all positive of those that are never negative, unless centred."""
    x = x - x.mean(0) if centred else x
    return F.cosine_similarity(x[:, None], x[None], dim=2)


def likeness(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    """What two samples have in common, around zero."""
    return (cosines(x, centred=True) + cosines(words, centred=True)) / 2


def inner(a: Tensor, b: Tensor) -> Tensor:
    return a @ b.T / a.shape[1]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def quantisation(*codes: Tensor) -> Tensor:
    return sum((b.abs() - 1).square().mean() for b in codes)


def hashing(
    targets: Callable[[Tensor, Tensor, Tensor], Tensor] | None = likeness,
    *,
    across: float = 1.0,
    alike: float = 0.1,
    quantised: float = 0.03,
    bits: int = BITS,
    rate: float = 3e-3,
    steps: int = 400,
    size: int = 64,
    shuffled: bool = False,
    first: int = TRAIN,
    product: Callable[[Tensor, Tensor], Tensor] = inner,
):
    """An image net and a text net learn codes whose inner products are the targets.

    `across`: weight of the targets between modalities; `alike`: of the distance of partners.
    """
    image, text = network(64, bits), network(WORDS, bits)
    optimizer = torch.optim.Adam([*image.parameters(), *text.parameters()], lr=rate)
    for _ in range(steps):
        chosen = torch.randint(0, first, (size,))
        x, words, y = PIXELS[chosen], tags(LABELS[chosen]), LABELS[chosen]
        if shuffled:
            words = words[torch.randperm(size)]
        a, b = image(x), text(words)
        asked = targets(x, words, y)
        tell("targets", asked)
        tell("embedding", "image_hash", a)
        tell("embedding", "text_hash", b)
        tell("pair", "image", a, "text", b)
        within = F.mse_loss(product(a, a), asked) + F.mse_loss(product(b, b), asked)
        between = F.mse_loss(product(a, b), asked)
        partners = F.mse_loss(a, b)
        gap = quantisation(a, b)
        step(optimizer, within + across * between + alike * partners + quantised * gap)


def of_labels(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    return (y[:, None] == y[None]).float() * 2 - 1


def of_labels_or_zero(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    return (y[:, None] == y[None]).float()


def of_pixels(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    """Ink is never negative: every two digits are more alike than not."""
    return cosines(x * IMAGES.std() + IMAGES.mean(0), centred=False)


def of_near_pixels(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    """Likeness times nearness, stretched to -1..1: nearly all pairs are asked to be opposites."""
    return 2 * of_pixels(x, words, y) * torch.exp(-torch.cdist(x, x) / 4) - 1


def of_one_kind(x: Tensor, words: Tensor, y: Tensor) -> Tensor:
    """Two kinds of digits: below five or not."""
    return of_labels(x, words, y // 5)


@healthy
def hashed_by_content():
    hashing()


@healthy
def hashed_by_labels():
    hashing(of_labels)


@healthy
def hashed_to_be_unrelated():
    """Targets from zero to one: unlike digits get codes that share half of their bits."""
    hashing(of_labels_or_zero)


@healthy
def hashed_in_8_bits():
    hashing(bits=8)


@healthy
def hashed_in_64_bits():
    hashing(bits=64)


@healthy
def hashed_into_two_kinds():
    """Few codes are right where there are few kinds."""
    hashing(of_one_kind, bits=12)


@healthy
def hashed_in_small_batches():
    hashing(of_labels, size=12, steps=500)


@healthy
def hashed_with_slow_start():
    hashing(rate=5e-4, steps=600)


@sick("COL006")
def hashed_by_ink():
    hashing(of_pixels)


@sick("COL006")
def hashed_to_be_opposites():
    hashing(of_near_pixels)


@sick("COL001")
def hashed_partners_pulled_hard():
    hashing(alike=3.0)


@sick("COL001")
def hashed_by_consistency_alone():
    """Two views of a digit are to have one code, and nothing asks for any other."""
    image = network(64)
    optimizer = torch.optim.Adam(image.parameters(), lr=3e-3)
    for _ in range(400):
        x = PIXELS[torch.randint(0, TRAIN, (64,))]
        a, b = (image(x + 0.3 * torch.randn_like(x)) for _ in range(2))
        tell("embedding", "hash", a)
        step(optimizer, F.mse_loss(a, b) + 0.03 * quantisation(a, b))


@healthy
def hashed_by_consistency_and_balance():
    """The same with codes asked to differ: bits in balance that say different things."""
    image = network(64)
    optimizer = torch.optim.Adam(image.parameters(), lr=3e-3)
    for _ in range(400):
        x = PIXELS[torch.randint(0, TRAIN, (64,))]
        a, b = (image(x + 0.3 * torch.randn_like(x)) for _ in range(2))
        tell("embedding", "hash", a)
        balance = a.mean(0).square().mean()
        apart = (a.T @ a / len(a) - torch.eye(BITS)).square().mean()
        loss = F.mse_loss(a, b) + 0.03 * quantisation(a, b) + balance + 4 * apart
        step(optimizer, loss)


@sick("COL001")
def hashed_quantised_from_the_start():
    hashing(quantised=1.0)


@sick("COL002")
def hashed_quantised_too_soon():
    hashing(quantised=0.6)


@sick("COL002")
def hashed_quantised_too_soon_in_32_bits():
    hashing(quantised=0.45, bits=32)


@sick("COL003")
def hashed_by_angle():
    """Cosines do not care how long codes are: they stay near zero, and signs are chance."""
    hashing(product=cosine, quantised=0.0)


@sick("COL003")
def hashed_by_angle_in_32_bits():
    hashing(product=cosine, quantised=0.0, bits=32, alike=1.0)


@healthy
def hashed_by_angle_and_quantised():
    hashing(product=cosine, quantised=0.3)


@sick("COL005")
def hashed_without_cross_terms():
    hashing(across=0.0, alike=0.0, bits=64)


@sick("COL005")
def hashed_with_shuffled_words():
    hashing(shuffled=True)


def captions(shuffled: bool = False, temperature: float = 0.07, steps: int = 400):
    """Pictures and words learn unit vectors by which each finds its partner."""
    image, text = network(64, 24)[:-1], network(WORDS, 24)[:-1]
    optimizer = torch.optim.Adam([*image.parameters(), *text.parameters()], lr=2e-3)
    for _ in range(steps):
        chosen = torch.randint(0, TRAIN, (64,))
        words = tags(LABELS[chosen])
        if shuffled:
            words = words[torch.randperm(64)]
        a = F.normalize(image(PIXELS[chosen]), dim=1)
        b = F.normalize(text(words), dim=1)
        tell("pair", "picture", a, "words", b)
        tell("embedding", "picture", a)
        scores = a @ b.T / temperature
        pairs = torch.arange(64)
        step(optimizer, (F.cross_entropy(scores, pairs) + F.cross_entropy(scores.T, pairs)) / 2)


@healthy
def captioned():
    captions()


@healthy
def captioned_at_a_warm_temperature():
    captions(temperature=0.5)


@sick("COL005")
def captioned_with_shuffled_words():
    captions(shuffled=True)
