"""HDF5 folders of fastMRI's structure, written here, read as pairs."""

import h5py
import numpy as np
import pytest

from unstuck.cases.contrast.data import make_pairs
from unstuck.cases.contrast.fastmri import read_pairs
from unstuck.cases.contrast.recipe import Recipe


def write(path, images, *, kind="reconstruction_rss", **attributes):
    with h5py.File(path, "w") as file:
        if kind == "kspace":
            shifted = np.fft.ifftshift(images, (-2, -1))
            images = np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), (-2, -1))
        file[kind] = images
        file.attrs.update(attributes)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return {(s, c): rng.uniform(1, 9, (3, 40, 36)) for s in range(5) for c in ("PD", "PDFS")}


def named_by_attribute(folder, images, **options):
    for (subject, contrast), volume in images.items():
        acquisition = {"PD": "CORPD_FBK", "PDFS": "CORPDFS_FBK"}[contrast]
        name = f"file{subject * 10 + len(contrast)}.h5"
        write(folder / name, volume, acquisition=acquisition, patient_id=f"p{subject}", **options)


def test_pairs_by_attribute(tmp_path, images):
    named_by_attribute(tmp_path, images)
    a, b, subject = read_pairs(str(tmp_path), 32)
    assert a.shape == b.shape == (15, 32, 32)
    assert subject.tolist() == [s for s in range(5) for _ in range(3)]
    middle = images[2, "PD"][1, 4:36, 2:34] / images[2, "PD"].max()
    assert np.allclose(a[7], middle)


def test_pairs_by_file_name_from_kspace(tmp_path, images):
    for (subject, contrast), volume in images.items():
        write(tmp_path / f"knee{subject}_{contrast}.h5", volume.astype(complex), kind="kspace")
    _, b, _ = read_pairs(str(tmp_path), 32)
    expected = images[0, "PDFS"][0, 4:36, 2:34] / images[0, "PDFS"].max()
    assert np.allclose(b[0], expected)


def test_several_coils_become_their_root_sum_of_squares(tmp_path, images):
    for (subject, contrast), volume in images.items():
        coils = np.stack([0.6 * volume, 0.8j * volume], 1)
        write(tmp_path / f"k{subject}_{contrast}.h5", coils, kind="kspace")
    a, _, _ = read_pairs(str(tmp_path), 32)
    assert np.allclose(a[0], images[0, "PD"][0, 4:36, 2:34] / images[0, "PD"].max())


def test_measured_data_is_split_by_subject(tmp_path, images):
    named_by_attribute(tmp_path, images)
    train, held_out = make_pairs(Recipe(data=str(tmp_path), crop_size=32), seed=0)
    assert set(train.subject.tolist()) == {0, 1, 2, 3}
    assert set(held_out.subject.tolist()) == {4}


def small(folder, images):
    for key, volume in images.items():
        write(folder / f"{key[0]}_{key[1]}.h5", volume[:, :20, :20])


def contrastless(folder, images):
    write(folder / "knee.h5", images[0, "PD"])


def unpaired(folder, images):
    for subject in range(3):
        write(folder / f"{subject}_PD.h5", images[subject, "PD"])


def flat(folder, images):
    for key, volume in images.items():
        write(folder / f"{key[0]}_{key[1]}.h5", volume[0])


def wrong_key(folder, images):
    for key, volume in images.items():
        write(folder / f"{key[0]}_{key[1]}.h5", volume, kind="image")


def no_hdf5(folder, images):
    (folder / "x_PD.h5").write_text("no")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder, images: None, r"holds no \*\.h5 file"),
        (small, "slices of 20 x 20 are smaller than the crop 32"),
        (contrastless, "knee.h5: no contrast"),
        (unpaired, "of 0 subjects"),
        (flat, r"shape \(40, 36\), not"),
        (wrong_key, "neither reconstruction_rss nor kspace"),
        (no_hdf5, "x_PD.h5 is no readable HDF5 file"),
    ],
)
def test_bad_folders_get_one_clear_line(tmp_path, images, spoil, message):
    spoil(tmp_path, images)
    with pytest.raises(ValueError, match=message) as raised:
        read_pairs(str(tmp_path), 32)
    assert "\n" not in str(raised.value)


def test_a_missing_folder_is_named():
    with pytest.raises(ValueError, match="nowhere is no folder"):
        make_pairs(Recipe(data="nowhere"), seed=0)
