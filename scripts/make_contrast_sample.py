"""Makes the embedded sample of the contrast case from the tissue maps nilearn ships.

    pip install "nilearn==0.14.1" && python scripts/make_contrast_sample.py

Reads the ICBM 152 (2009a, nonlinear, symmetric) grey and white matter maps, 1 mm, and writes
`slices.npz`: `maps` uint8 (24 axial slices, 4, 96, 96) with the channels white matter, grey
matter, other brain (CSF), each in 1/255, and the distance to the brain in mm (255 = far). The
licence of the maps is in NOTICE.
"""

from pathlib import Path

import nibabel
import nilearn
import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, zoom

SLICES = range(62, 110, 2)  # axial, from the temporal lobes to above the ventricles
FIELD_MM = 240
SIZE = 96  # px
OUT = Path(__file__).parents[1] / "src/unstuck/cases/contrast/sample/slices.npz"


def volume(tissue: str) -> np.ndarray:
    """A tissue map, (x, y, z) at 1 mm, 0..255."""
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(nilearn.__file__).parent / "datasets/data" / name
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float64)


def centred(plane: np.ndarray, fill: float) -> np.ndarray:
    """The plane with its anterior side up in the middle of a square of FIELD_MM."""
    plane = np.flipud(plane.T)
    canvas = np.full((FIELD_MM, FIELD_MM), fill)
    top, left = ((FIELD_MM - n) // 2 for n in plane.shape)
    canvas[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return canvas


def maps_of(white: np.ndarray, grey: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """The four channels of one slice, (4, SIZE, SIZE), 0..255."""
    inside = binary_fill_holes(brain > 127)
    csf = np.clip(255.0 * inside - white - grey, 0, 255)
    distance = np.minimum(distance_transform_edt(~inside), 255)
    blur = FIELD_MM / SIZE / 2  # against aliasing
    planes = [gaussian_filter(p, blur) for p in (white, grey, csf, distance)]
    return np.clip([zoom(p, SIZE / FIELD_MM, order=1, grid_mode=True, mode="nearest")
                    for p in planes], 0, 255)  # fmt: skip


def main() -> None:
    white, grey = volume("wm"), volume("gm")
    brain = np.minimum(white + grey + 255 * (volume("t1") > 0), 255)
    planes = ([centred(v[:, :, z], 0) for v in (white, grey, brain)] for z in SLICES)
    maps = np.stack([maps_of(*p) for p in planes]).round().astype(np.uint8)
    OUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUT, maps=maps)
    print(OUT, maps.shape, f"{OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
