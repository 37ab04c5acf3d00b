"""One network for images, one for text, a graph branch on the features of each, a fusion.

Zhang et al., Aggregation-Based Graph Convolutional Hashing for Unsupervised Cross-Modal Retrieval,
IEEE TMM 24, 2022.
"""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from unstuck.cases.agch.recipe import Recipe


class Outputs(NamedTuple):
    """Codes (n, bits) in (-1, 1); `graph_image` and `graph_text` are None without the branch."""

    image: Tensor
    text: Tensor
    joint: Tensor
    graph_image: Tensor | None
    graph_text: Tensor | None


class HashNet(nn.Module):
    """(n, d) -> penultimate features (n, hidden) and code (n, bits)."""

    def __init__(self, inputs: int, recipe: Recipe, norm: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs) if norm else nn.Identity()
        self.drop = nn.Dropout(recipe.dropout)
        self.first = nn.Linear(inputs, recipe.hidden)
        self.hash = nn.Linear(recipe.hidden, recipe.bits)
        self.leak = recipe.leak
        with torch.no_grad():
            self.first.weight.mul_(recipe.first_gain)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.drop(leaky_relu(self.first(self.drop(self.norm(x))), self.leak))
        return features, torch.tanh(self.hash(features))


class GraphBranch(nn.Module):
    """Two graph convolutions (Kipf & Welling, 2017) and a layer: (n, hidden) -> (n, bits)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        inner = max(1, recipe.hidden // 2)
        self.first = nn.Linear(recipe.hidden, inner)
        self.second = nn.Linear(inner, inner)
        self.out = nn.Linear(inner, recipe.bits)
        if recipe.graph_std:
            for layer in (self.first, self.second, self.out):
                nn.init.normal_(layer.weight, std=recipe.graph_std)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """`adjacency` (n, n), normalised; the result is before any tanh."""
        x = torch.relu(adjacency @ self.first(features))
        x = torch.relu(adjacency @ self.second(x))
        codes: Tensor = self.out(x)
        return codes


class Hasher(nn.Module):
    """Everything that is trained; `images` and `texts` are what is used afterwards."""

    image_mean: Tensor
    image_std: Tensor
    word_weight: Tensor

    def __init__(self, images: int, words: int, recipe: Recipe) -> None:
        super().__init__()
        self.register_buffer("image_mean", torch.zeros(images))
        self.register_buffer("image_std", torch.ones(images))
        self.register_buffer("word_weight", torch.ones(words))
        self.image = HashNet(images, recipe, norm=False)
        self.text = HashNet(words, recipe, norm=recipe.text_batchnorm)
        self.fusion = nn.Linear(2 * recipe.hidden, recipe.bits)
        self.graph_image = GraphBranch(recipe) if recipe.graph else None
        self.graph_text = GraphBranch(recipe) if recipe.graph else None
        self.squash = nn.Tanh()
        self.recipe = recipe

    def fit_inputs(self, images: Tensor, texts: Tensor) -> None:
        """Take mean and spread of the images and rareness of the words from training items."""
        if self.recipe.image_input == "standardised":
            self.image_mean.copy_(images.mean(0))
            self.image_std.copy_(images.std(0) + 1e-6)
        if self.recipe.text_input == "idf":
            self.word_weight.copy_(torch.log(len(texts) / texts.sum(0).clamp_min(1)))
        self.word_weight.mul_(self.recipe.text_scale)

    def inputs(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """What the networks are fed, of the same shapes."""
        return (images - self.image_mean) / self.image_std, texts * self.word_weight

    def images(self, x: Tensor) -> Tensor:
        """Features of pictures (n, d) -> codes (n, bits)."""
        codes: Tensor = self.image((x - self.image_mean) / self.image_std)[1]
        return codes

    def texts(self, t: Tensor) -> Tensor:
        """Words (n, words), 1 where an item has one -> codes (n, bits)."""
        codes: Tensor = self.text(t * self.word_weight)[1]
        return codes

    def forward(self, x: Tensor, t: Tensor, adjacency: Tensor) -> Outputs:
        """Prepared inputs of a batch, and its normalised adjacency (n, n)."""
        image_features, image = self.image(x)
        text_features, text = self.text(t)
        joint = self.fusion(torch.cat([image_features, text_features], 1))
        graph_image = graph_text = None
        if self.graph_image is not None and self.graph_text is not None:
            from_image = self.graph_image(image_features, adjacency)
            from_text = self.graph_text(text_features, adjacency)
            if self.recipe.graph_joins:
                joint = joint + from_image + from_text
            graph_image, graph_text = torch.tanh(from_image), torch.tanh(from_text)
        joint = self.squash(joint) if self.recipe.fusion == "learned" else (image + text) / 2
        return Outputs(image, text, joint, graph_image, graph_text)

    def blocks(self) -> dict[str, nn.ModuleList]:
        """The networks by whose rate they are trained: image, text, graph, fusion."""
        graph = [g for g in (self.graph_image, self.graph_text) if g is not None]
        parts: dict[str, list[nn.Module]] = {
            "image": [self.image],
            "text": [self.text],
            "graph": list(graph),
            "fusion": [self.fusion] if self.recipe.fusion == "learned" else [],
        }
        return {name: nn.ModuleList(found) for name, found in parts.items() if found}


def trained(folder: Path) -> tuple[Hasher, Recipe, int]:
    """The network that `train --out` left in a folder, in eval mode, its recipe and its seed.

    ValueError with one line where the folder holds none.
    """
    try:
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        seed = int(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["seed"])
        weights = torch.load(folder / "model.pt", weights_only=True, map_location="cpu")
        shape = len(weights["image_mean"]), len(weights["word_weight"])
        model = Hasher(*shape, recipe)
        model.load_state_dict(weights)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{folder} holds no model left by `train --out`: {reason}") from None
    return model.eval(), recipe, seed
