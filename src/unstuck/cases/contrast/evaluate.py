"""How good the predicted contrast is, on subjects the training never saw.

PSNR of an image: 20 log10(peak / RMSE), with the complex error |prediction - clean|, the peak of
the clean magnitude, and the mean over images. SSIM (Wang et al., 2004) on magnitudes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

from unstuck.cases.contrast.data import Pairs
from unstuck.cases.contrast.losses import content_term, cross_term, recon_term
from unstuck.cases.contrast.model import ContrastNet
from unstuck.cases.contrast.recipe import Recipe


def magnitude(image: Tensor) -> Tensor:
    """(n, 2, s, s) -> (n, s, s)."""
    return image.square().sum(1).sqrt()


def psnr(prediction: Tensor, clean: Tensor) -> float:
    """dB, mean over images; both (n, 2, s, s) or a prediction (2, s, s) for all."""
    error = (prediction - clean).square().sum(1).mean((1, 2)).sqrt()
    peak = magnitude(clean).amax((1, 2))
    return float((20 * torch.log10(peak / error.clamp_min(1e-12))).mean())


def ssim(prediction: Tensor, clean: Tensor) -> float:
    """Structural similarity of the magnitudes, mean over images."""
    pairs = zip(magnitude(prediction).numpy(), magnitude(clean).numpy(), strict=True)
    return float(np.mean([structural_similarity(p, c, data_range=c.max()) for p, c in pairs]))


@torch.no_grad()
def evaluate(model: ContrastNet, held_out: Pairs) -> dict[str, float]:
    """Both directions with only the input contrast given; `psnr`, `ssim`: b -> a."""
    model.eval()
    a = model.translate(held_out.b, "a").cpu()
    b = model.translate(held_out.a, "b").cpu()
    clean_a, clean_b = held_out.a_clean.cpu(), held_out.b_clean.cpu()
    model.train()
    return {
        "psnr": psnr(a, clean_a),
        "ssim": ssim(a, clean_a),
        "psnr_a_to_b": psnr(b, clean_b),
        "ssim_a_to_b": ssim(b, clean_b),
    }


def baselines(train: Pairs, held_out: Pairs) -> dict[str, float]:
    """PSNR b -> a of predicting the mean training image, and of copying the input."""
    clean = held_out.a_clean.cpu()
    copied = held_out.b.cpu() * (held_out.a_unit / held_out.b_unit).cpu()[:, None, None, None]
    return {
        "psnr_mean": psnr(train.a_again.mean(0).cpu(), clean),
        "psnr_copy": psnr(copied, clean),
    }


@torch.no_grad()
def held_out_terms(model: ContrastNet, recipe: Recipe, held_out: Pairs) -> dict[str, float]:
    """The terms and the weighted loss on held-out pairs, as they are in training."""
    model.eval()
    out = model(held_out.a, held_out.b)
    content = float(content_term(out))
    recon = float(recon_term(out, held_out.a_again, held_out.b_again))
    cross = float(cross_term(out, held_out.a_again, held_out.b_again))
    model.train()
    loss = (
        recipe.content_weight * content + recipe.recon_weight * recon + recipe.cross_weight * cross
    )
    spread = float(out.z_a.std(0).mean())
    terms = {"content": content, "recon": recon, "cross": cross, "loss": loss}
    return terms | {"latent_std": spread}


@torch.no_grad()
def shown(model: ContrastNet, held_out: Pairs) -> dict[str, NDArray[np.float16]]:
    """Magnitudes (n, s, s) of the input b, the predicted a and the clean a, in units of the
    training images' root mean square."""
    model.eval()
    prediction = model.translate(held_out.b, "a")
    model.train()
    images = {
        "input": magnitude(held_out.b) / held_out.b_unit[:, None, None],
        "prediction": magnitude(prediction) / held_out.a_unit[:, None, None],
        "target": magnitude(held_out.a_clean) / held_out.a_unit[:, None, None],
    }
    return {name: image.cpu().numpy().astype(np.float16) for name, image in images.items()}
