"""Generator and discriminator, and one update of each."""

import copy
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unstuck.cases.zi2zi import perception
from unstuck.cases.zi2zi.balance import adversarial_weight
from unstuck.cases.zi2zi.losses import (
    adversarial_term,
    augmented,
    const_term,
    discriminator_term,
    gradient_penalty,
    matching_term,
)
from unstuck.cases.zi2zi.model import Discriminator, Generator, Judgement, placed
from unstuck.cases.zi2zi.recipe import Recipe

WARMUP = 200  # updates until the learning rate is what it should be, a tenth of all at most
BETA2 = 0.99

Drawn = tuple[Tensor, Tensor]  # pictures (n, 1, s, s), and the codes (n, c, h, w) they are from


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch: pictures (n, 1, s, s), styles (n,), and what is drawn by lot for it."""

    source: Tensor
    target: Tensor
    styles: Tensor
    other_styles: Tensor  # of shuffled labels: what is drawn without a picture to compare with
    moves: Tensor  # (4, n, 2) in [0, 1): of the real and the drawn pairs, by either network
    holes: Tensor

    def __len__(self) -> int:
        return len(self.source)


class Game:
    """The two networks of a recipe, their optimizers and schedules, and the averaged generator."""

    def __init__(self, recipe: Recipe, steps: int) -> None:
        r = recipe
        self.recipe, self.steps, self.step = r, steps, 0
        self.generator = placed(Generator(r), r)
        self.discriminator = placed(Discriminator(r), r)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        betas = (r.beta1, BETA2)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), r.lr_g, betas)
        heads = [] if r.category else list(self.discriminator.style.parameters())
        played = [p for p in self.discriminator.parameters() if all(p is not h for h in heads)]
        self.optimizer_d = torch.optim.Adam(played, r.lr_d, betas)
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
            for optimizer in (self.optimizer_g, self.optimizer_d)
        ]
        self.said: dict[str, float] = {}  # losses and terms of the last update
        self._weight = adversarial_weight(r, 0.0, 1.0)
        draw = self.generator.drawn
        self._draw: Any = torch.compile(draw) if r.compile else draw  # pictures, and their codes

    def update(self, batches: Sequence[Batch]) -> None:
        """One update from the micro-batches of an accumulated one.

        The discriminator learns from all of them first, then the generator from all of them: each
        is as it would be with one large batch, which is not so where both learn in one pass.
        """
        r, last = self.recipe, self.said.get("d_loss", 1.0)
        self._weight = adversarial_weight(r, self.step / max(1, self.steps), last)
        self.said = {"d_loss": last if self.plays else 0.0}
        drawn = None
        for _ in range(r.d_steps if self.plays and self.step % r.d_every == 0 else 0):
            self.said["d_loss"] = 0.0
            drawn = self._discriminator_update(batches)
        self._generator_update(batches, drawn)
        self.schedules[0].step()
        if self.plays and not r.frozen_discriminator:
            self.schedules[1].step()
        self._averaged()
        self.step += 1

    def _discriminator_update(self, batches: Sequence[Batch]) -> list[Drawn] | None:
        """What was drawn, with its graph, where it can be used for the generator's update too."""
        r, reused = self.recipe, len(batches) == 1 and self.recipe.d_steps == 1
        self.discriminator.requires_grad_(True)
        self.optimizer_d.zero_grad()
        kept = []
        for i, batch in enumerate(batches):
            if r.broken_accumulation and i > 0:
                self.optimizer_d.zero_grad()
                self.discriminator.requires_grad_(False)  # as it was left for the generator's pass
            with torch.set_grad_enabled(reused), self.cast():
                drawn = self._draw(batch.source, batch.styles)
            terms = self._discriminator_terms(batch, drawn[0].detach())
            d_loss = self._weighted(terms, self.weights_d(), "d_loss", batch)
            if d_loss.requires_grad:
                (d_loss / len(batches)).backward()
            kept.append(drawn)
        if r.frozen_category and self.step < r.frozen_category * self.steps / r.epochs:
            self.discriminator.style.zero_grad()
        if not r.frozen_discriminator:
            self.optimizer_d.step()
        self.discriminator.requires_grad_(True)
        return kept if reused else None

    def _discriminator_terms(self, batch: Batch, drawn: Tensor) -> dict[str, Tensor]:
        """What the discriminator pays; its penalties only every `lazy` updates."""
        r, target = self.recipe, batch.target
        penalised = self.step % r.lazy == 0 and bool(r.r1 or r.r2)
        if penalised:
            target, drawn = (x.detach().clone().requires_grad_() for x in (target, drawn))
        with self.cast(not penalised):
            real = self.discriminator(*self._seen(batch, target, 0))
            fake = self.discriminator(*self._seen(batch, drawn, 1))
        terms = {"adv_loss": discriminator_term(real.real, fake.real, r.gan, r.smoothing)}
        if r.category and r.category_d:
            styles = F.cross_entropy(real.style, batch.styles)
            terms["category_loss"] = (styles + F.cross_entropy(fake.style, batch.styles)) / 2
        if penalised:
            terms["r1_loss"] = gradient_penalty(real.real, target)
            terms["r2_loss"] = gradient_penalty(fake.real, drawn)
        return terms

    def weights_d(self) -> dict[str, float]:
        """Of the discriminator's terms. A penalty that is paid now and then is paid in full."""
        r = self.recipe
        penalties = {"r1_loss": r.lazy * r.r1 / 2, "r2_loss": r.lazy * r.r2 / 2}
        return {"adv_loss": 1.0, "category_loss": r.category * r.category_d} | penalties

    def _generator_update(self, batches: Sequence[Batch], drawn: list[Drawn] | None) -> None:
        r = self.recipe
        self.discriminator.requires_grad_(False)
        self.optimizer_g.zero_grad()
        for i, batch in enumerate(batches):
            if r.broken_accumulation and i > 0:
                self.optimizer_g.zero_grad()
            terms = self._generator_terms(batch, drawn[i] if drawn else None)
            g_loss = self._weighted(terms, self.weights_g(), "g_loss", batch)
            (g_loss / len(batches)).backward()
        self.optimizer_g.step()
        self.discriminator.requires_grad_(True)

    def _generator_terms(self, batch: Batch, known: Drawn | None) -> dict[str, Tensor]:
        r = self.recipe
        with self.cast():
            drawn, code = known or self._draw(batch.source, batch.styles)
            terms = self.picture_terms(batch, drawn, code)
            if self.plays:
                fake = self.discriminator(*self._seen(batch, drawn, 3))
                paired = r.gan == "relativistic" or r.feature_matching or r.shuffled_labels
                real = self._real(batch) if paired else fake
                terms["cheat_loss"] = adversarial_term(real.real, fake.real, r.gan)
                terms["category_loss"] = F.cross_entropy(fake.style, batch.styles)
                if r.feature_matching:
                    terms["matching_loss"] = matching_term(real.features, fake.features)
                if r.shuffled_labels:
                    terms |= self._unpaired_terms(batch, real)
        weights = self.weights_g()
        return {name: term for name, term in terms.items() if weights[name]}

    def picture_terms(self, batch: Batch, drawn: Tensor, code: Tensor) -> dict[str, Tensor]:
        """What is said of the drawn pictures without a discriminator."""
        r = self.recipe
        terms = {"l1_loss": F.l1_loss(drawn, batch.target)}
        if r.const:
            again = drawn.detach() if r.const_detached else drawn
            terms["const_loss"] = const_term(code, self._code(again), r.const_kind)
        if r.identity:
            terms["identity_loss"] = F.l1_loss(drawn, batch.source)
        if r.perceptual:
            see = perception.low if r.perceptual_depth == "low" else perception.deep
            terms["perceptual_loss"] = matching_term(see(batch.target), see(drawn))
        return terms

    def _unpaired_terms(self, batch: Batch, real: Judgement) -> dict[str, Tensor]:
        """Characters in another style, which no picture says how to draw: all terms but L1.

        A relativistic score is against the real pair of the same character in its own style.
        """
        r, styles = self.recipe, batch.other_styles
        drawn, code = self._draw(batch.source, styles)
        fake = self.discriminator(*self._seen(batch, drawn, 3))
        terms = {
            "other_cheat_loss": adversarial_term(real.real, fake.real, r.gan),
            "other_category_loss": F.cross_entropy(fake.style, styles),
        }
        if r.const:
            terms["other_const_loss"] = const_term(code, self._code(drawn), r.const_kind)
        return terms

    def weights_g(self) -> dict[str, float]:
        """Of the generator's terms; those of shuffled labels weigh as much as the paired ones."""
        r = self.recipe
        shared = {
            "cheat_loss": self._weight,
            "category_loss": r.category,
            "const_loss": r.const,
        }
        own = {
            "l1_loss": r.l1,
            "identity_loss": r.identity,
            "matching_loss": r.feature_matching,
            "perceptual_loss": r.perceptual,
        }
        return own | shared | {f"other_{name}": weight for name, weight in shared.items()}

    def _weighted(
        self, terms: dict[str, Tensor], weights: dict[str, float], name: str, batch: Batch
    ) -> Tensor:
        """The loss, whose value is kept with those of its weighted terms."""
        found = torch.stack([weights[term] * value for term, value in terms.items()])
        share = len(batch) / self.recipe.batch_size / self.recipe.accumulation
        said = dict(zip(terms, found.detach().tolist(), strict=True)) if name == "g_loss" else {}
        penalties = terms.keys() & {"r1_loss", "r2_loss"}
        whole = sum(v for t, v in zip(terms, found.detach(), strict=True) if t not in penalties)
        for term, value in (said | {name: float(whole)}).items():
            self.said[term] = self.said.get(term, 0.0) + share * value
        return found.sum()

    @torch.no_grad()
    def _real(self, batch: Batch) -> Judgement:
        """The real pairs, as the generator's update has to be told of them."""
        seen: Judgement = self.discriminator(*self._seen(batch, batch.target, 2))
        return seen

    def _code(self, pictures: Tensor) -> Tensor:
        return self.generator.encode(pictures)[-1]

    def _seen(self, batch: Batch, pictures: Tensor, which: int) -> tuple[Tensor, Tensor]:
        """A pair as the discriminator is shown it."""
        if not self.recipe.diffaugment:
            return batch.source, pictures
        pair = torch.cat([batch.source, pictures], 1)
        pair = augmented(pair, batch.moves[which], batch.holes[which])
        return pair[:, :1], pair[:, 1:]

    @property
    def plays(self) -> bool:
        """Whether the generator learns anything from the discriminator."""
        r = self.recipe
        against = r.lambda_adv or r.balance != "fixed"
        return bool(against or r.category or r.feature_matching)

    def _rate(self, step: int) -> float:
        """Share of the learning rates: a warm-up with a cosine or halvings, or always all."""
        warmup = max(1.0, min(WARMUP, self.steps / 10))
        start, done = min(1.0, (step + 1) / warmup), min(1.0, step / max(1, self.steps))
        if self.recipe.schedule == "cosine":
            return start * (1 + math.cos(math.pi * done)) / 2
        return start * 0.5 ** int(4 * done) if self.recipe.schedule == "step" else 1.0

    def cast(self, wanted: bool = True) -> AbstractContextManager[object]:
        kind = self.recipe.device.partition(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.recipe.amp and wanted)

    @torch.no_grad()
    def _averaged(self) -> None:
        """Exponential moving average of the generator's weights, faster at the start."""
        kept = min(self.recipe.ema, (1 + self.step) / (10 + self.step)) if self.recipe.ema else 0.0
        own: list[Tensor] = list(self.generator.parameters())
        average: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(average, own, 1 - kept)

    def state(self) -> dict[str, Any]:
        """All that the next update depends on, but for the data."""
        parts = {name: getattr(self, name).state_dict() for name in self._parts}
        numbers = {"step": self.step, "said": dict(self.said), "random": torch.get_rng_state()}
        return parts | numbers | {"schedules": [s.state_dict() for s in self.schedules]}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, bit for bit on a processor."""
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        for schedule, one in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(one)
        self.step, self.said = int(state["step"]), dict(state["said"])
        torch.set_rng_state(state["random"])

    _parts = ("generator", "discriminator", "average", "optimizer_g", "optimizer_d")
