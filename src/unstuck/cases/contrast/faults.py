"""Single-factor faults of the repaired form, and what can be tried on a sick one."""

from collections.abc import Mapping

from unstuck import Treatment

Changes = Mapping[str, float | int | str | bool]

# name -> (change of the repaired recipe, codes a correct diagnosis names first)
FAULTS: Mapping[str, tuple[Changes, tuple[str, ...]]] = {
    "zero_start": ({"zero_start": True}, ("GRD005",)),
    "content_weight": ({"content_weight": 3.0}, ("COL004",)),
    "skip_use": ({"same_domain_use_skip": True}, ("SKP001",)),
    "target_skips": ({"cross_domain_strategy": "target_skip"}, ("SKP001",)),
    "raw_scale": ({"raw_scale": True}, ("DAT001",)),
}

TREATMENTS: tuple[Treatment, ...] = (
    Treatment(
        "lower-content-weight",
        "lower-term-weight",
        {"content_weight": 0.05},
        "latents of different subjects stay apart, the cross loss falls, +2 to +3 dB",
        ("COL004",),
    ),
    Treatment(
        "stop-gradient-predictor",
        "stop-gradient-on-target",
        {"content_term": "predictor"},
        "the latents agree without being pulled together and keep their spread; PSNR rises",
        ("COL004",),
    ),
    Treatment(
        "source-skips",
        "use-source-skips",
        {"cross_domain_strategy": "source_skip"},
        "the image comes through the skips; PSNR rises although the latent stays collapsed",
        ("COL004", "SKP001"),
    ),
    Treatment(
        "wider-latent",
        "",  # a published claim (X03), no remedy of ours
        {"latent_channels": 128},
        "no difference: a wider latent is pulled together just as well",
        ("COL004",),
    ),
)
