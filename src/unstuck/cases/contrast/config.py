"""Reads the published JSON configuration of the system with its own key names.

Sections may be nested (`{"model": {"decoder": {"features": [512, 256, 128]}}, "loss": {...}}`) or
flat; what counts is a key's name and, for short names, the section it stands in.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unstuck.cases.contrast.recipe import Recipe, made

# the same knob under the names in use; a key in the form section.key counts in that section only
ALIASES = {
    "features": "encoder_features",
    "encoder.features": "encoder_features",
    "decoder.features": "decoder_features",
    "latent": "latent_channels",
    "batch": "batch_size",
    "crop": "crop_size",
    "learning_rate": "lr",
    "grad_clip": "clip",
    "gradient_clip": "clip",
    "clip_grad_norm": "clip",
    "anatomy_kind": "anatomy",
    "content": "content_weight",
    "recon": "recon_weight",
    "reconstruction": "recon_weight",
    "cross": "cross_weight",
    "edge": "edge_weight",
}
SECTIONS = (
    "model", "encoder", "decoder", "loss", "losses", "loss_weights", "weights", "training",
    "train", "optimizer", "data",
)  # fmt: skip


def read_config(path: str | Path, start: Recipe | None = None) -> Recipe:
    """The recipe a JSON file describes; what it does not mention is taken from `start`.

    Raises ValueError with one line that names the file and what is wrong.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold one JSON object, not a {type(content).__name__}")
    values: dict[str, Any] = {}
    for key, value in _entries(content):
        for name, meant in _meant(key, value):
            if name in values and values[name] != meant:
                raise ValueError(f"{path}: {name} is given twice, as {values[name]} and {meant}")
            values[name] = meant
    try:
        return made((start or Recipe()).model_dump() | values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _entries(content: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Every (key, value), sections opened; a key is `section.key` where it stands in one."""
    for key, value in content.items():
        opened = key in SECTIONS and isinstance(value, dict)
        if opened:
            yield from _entries(value, key)
        else:
            yield (f"{section}.{key}" if section else key), value


def _meant(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The recipe's own fields for an entry; an unknown key stays as it is."""
    last = key.rsplit(".", 1)[-1]
    name = ALIASES.get(key) or ALIASES.get(last) or last
    if name == "cross_domain_strategy" and value == "predictor":
        yield name, "no_skip"
        yield "content_term", "predictor"
    else:
        yield name, value
