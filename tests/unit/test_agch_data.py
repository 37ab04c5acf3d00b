"""Pairs for hashing: sound, parted without leakage, and refused in one line where they are not."""

import json

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.sparse import csc_matrix

from unstuck.cases.agch import dataset, emoji, features, published
from unstuck.cases.agch.dataset import load, pictures, text_vector, whole, words_of
from unstuck.cases.agch.families import family
from unstuck.cases.agch.icons import family as icon_family
from unstuck.cases.agch.recipe import Recipe
from unstuck.data import icons as icon_sets
from unstuck.data.mobilenet import FILE, PACKAGE, MobileNetV2

EMOJI = 1696
FORMS = [Recipe(), Recipe(style="twitter", labels="subgroup"), Recipe(style="both")]


def test_the_sample_is_small_and_sound():
    assert sum(file.stat().st_size for file in emoji.FOLDER.iterdir()) < 4_000_000
    for style in ("google", "twitter"):
        items = whole(Recipe(style=style))
        assert items.images.shape == (EMOJI, 1280) and items.images.dtype == torch.float32
        assert items.images.min() == 0 and bool((items.images.amax(0) > 0).all())
        assert items.labels.sum() == EMOJI and len(items.classes) == 9
        assert items.labels[:, items.classes.index("Flags")].sum() == 60
        assert set(items.texts.data.tolist()) == {1.0} and items.texts.getnnz(1).min() > 0
    assert len(whole(Recipe(labels="subgroup")).classes) == 98


def test_both_styles_are_of_the_same_things():
    items = whole(Recipe(style="both"))
    assert len(items) == 2 * EMOJI and items.names[:EMOJI] == items.names[EMOJI:]
    unit = torch.nn.functional.normalize(items.images - items.images.mean(0))
    google, twitter = unit[:EMOJI], unit[EMOJI:]
    found = (google @ twitter.T).argmax(1) == torch.arange(EMOJI)
    assert found.float().mean() > 0.3  # by chance 0.0006


@pytest.mark.parametrize("recipe", FORMS, ids=lambda r: r.style)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_item_nor_its_twin_is_on_both_sides(recipe, seed):
    split = load(recipe, seed)
    items = whole(recipe)
    asked, kept = split.query.keys.numpy(), split.database.keys.numpy()
    assert sorted([*asked, *kept]) == list(range(len(items)))
    assert set(split.train.keys.tolist()) <= set(kept.tolist())
    assert len(split.query) == 300
    assert not set(asked % EMOJI) & set(kept % EMOJI)
    named = [{family(name) for name in side.names} for side in (split.query, split.database)]
    assert not named[0] & named[1]


def test_twins_by_hand_lie_together():
    together = [
        ("man running", "woman running facing right", "person running"),
        ("red heart", "blue heart", "black heart"),
        ("one o clock", "seven thirty"),
        ("full moon", "waxing crescent moon"),
        ("family man woman boy", "family woman woman girl"),
        ("merman", "mermaid"),
        ("left arrow", "up right arrow"),
    ]
    names = whole(Recipe()).names
    sides = set()
    for seed in range(6):
        asked = set(load(Recipe(), seed).query.names)
        for twins in together:
            assert set(twins) <= set(names)
            assert len({twin in asked for twin in twins}) == 1, twins
            sides.add((twins, twins[0] in asked))
    assert len(sides) > len(together)  # they are not always on the same side
    assert family("running shoe") != family("man running")
    assert icon_family("account plus") == icon_family("account off")
    assert icon_family("account plus") != icon_family("bank plus")


def test_a_seed_gives_one_split_and_another_seed_another():
    first, again, other = (load(Recipe(), seed) for seed in (3, 3, 4))
    assert torch.equal(first.query.keys, again.query.keys)
    assert torch.equal(first.database.texts, again.database.texts)
    assert set(first.query.keys.tolist()) != set(other.query.keys.tolist())


def test_the_database_is_in_no_order_of_classes():
    labels = load(Recipe(), 0).database.labels.int().argmax(1)
    neighbours = (labels[1:] == labels[:-1]).float().mean()
    share = torch.bincount(labels).float() / len(labels)
    assert abs(neighbours - (share**2).sum()) < 0.05


def test_words_come_from_training_items_alone():
    split = load(Recipe(train_items=400, queries=100, least_uses=5), 0)
    uses = split.train.texts.sum(0)
    assert uses.min() >= 5 and len(split.vocabulary) == split.query.texts.shape[1]
    assert split.train.texts.sum(1).min() > 0 and split.query.texts.sum(1).min() > 0
    assert 300 < len(split.train) <= 400
    fewer = load(Recipe(train_items=400, queries=100, least_uses=2), 0)
    assert set(split.vocabulary) < set(fewer.vocabulary)
    row = split.train[torch.tensor([7])]
    words = {split.vocabulary[i] for i in row.texts[0].nonzero()[:, 0].tolist()}
    text = whole(Recipe()).texts[int(row.keys[0])]
    assert words <= {whole(Recipe()).vocabulary[i] for i in text.indices} and words


def test_parts_of_pairs():
    query = load(Recipe(), 0).query
    part = query[torch.tensor([5, 2])]
    assert len(part) == 2 and part.names == (query.names[5], query.names[2])
    assert torch.equal(part.images, query.images[[5, 2]])
    mask = torch.zeros(len(query), dtype=torch.bool)
    mask[9] = True
    assert query[mask].names == (query.names[9],)


def test_texts_are_taken_apart_like_keywords():
    assert words_of("T-Rex, 2nd RED") == ["t", "rex", "nd", "red"]
    assert text_vector("Red red fruit!", ("fruit", "green", "red")).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match=r"none of the 2 known words is in 'blue' \(blue\)"):
        text_vector("blue", ("fruit", "red"))


def test_pictures_are_those_of_the_items():
    items = whole(Recipe(style="both"))
    keys = [items.names.index(name) for name in ("red heart", "green heart", "blue heart")]
    for first in (0, EMOJI):
        found = pictures(Recipe(style="both"), torch.tensor(keys) + first)
        assert found.shape == (3, 32, 32, 3) and found.dtype == np.uint8
        middle = found[:, 12:20, 12:20].reshape(3, -1, 3).mean(1)
        assert middle.argmax(1).tolist() == [0, 1, 2]
    alone = pictures(Recipe(style="twitter"), torch.tensor(keys))
    assert (alone == found).all()


def test_too_many_queries_are_refused():
    with pytest.raises(ValueError, match="1696 queries of 1696 items leave no database"):
        load(Recipe(queries=EMOJI), 0)
    with pytest.raises(ValueError, match="lower queries or least_uses"):
        load(Recipe(least_uses=5000), 0)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A cache whose package of weights has a network that has learned nothing."""
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path))
    file = tmp_path / f"{PACKAGE.name}-{PACKAGE.version}" / FILE
    file.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), file)
    return tmp_path


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def test_features_are_made_once_and_a_broken_file_is_made_anew(weights):
    made = []

    def drawn():
        made.append(1)
        yield noise(2)
        yield noise(1, seed=1)

    first = features.cached("noise", 3, drawn)
    assert first.shape == (3, 1280) and first.dtype == torch.float32 and first.std() > 0
    assert torch.equal(features.cached("noise", 3, drawn), first) and len(made) == 1
    next(weights.glob("noise*")).write_bytes(b"PK\x03\x04 broken")
    assert torch.equal(features.cached("noise", 3, drawn), first) and len(made) == 2
    assert [file.suffix for file in weights.glob("noise*")] == [".npz"]


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{}</svg>'
SQUARE = SVG.format('<path d="M6 6h12v12H6z"/>')


@pytest.fixture
def sets(weights):
    """The four icon packages as they are built, with a few icons each."""
    mdi, tabler, remix, phosphor = (
        weights / f"{p.name}-{p.version}" / "package"
        for p in (icon_sets.MDI, icon_sets.TABLER, icon_sets.REMIX, icon_sets.PHOSPHOR)
    )
    entries = {"apple-outline": "Food / Drink", "bank": "Banking", "hat": "Clothing"}
    listed = [{"name": n, "aliases": ["it"], "tags": [tag]} for n, tag in entries.items()]
    told = {"apple": {"category": "Food", "tags": ["fruit", 1], "styles": {"filled": {}}}}
    write(mdi / "meta.json", json.dumps(listed))
    write(tabler / "icons.json", json.dumps(told))
    write(
        phosphor / "dist" / "index.mjs",
        'var e = /* */ ((i) => (i.NATURE = "nature", i.FOOD = "food", i))(e || {}), a = 1;\n'
        'const n = [ { name: "acorn",\n categories: [e.NATURE, e.FOOD],\n'
        ' tags: ["*new*", "nut"] }]',
    )
    files = [mdi / "svg" / f"{name}.svg" for name in entries]
    files += [tabler / "icons/filled/apple.svg", remix / "icons/Weather/sun-line.svg"]
    files += [phosphor / "assets/regular/acorn.svg", phosphor / "assets/fill/acorn-fill.svg"]
    for file in files:
        write(file, SQUARE)
    icon_sets.icons.cache_clear()
    yield weights
    icon_sets.icons.cache_clear()


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_icons_of_four_sets_are_one_set(sets):
    items = whole(Recipe(data="icons"))
    assert items.names == ("apple", "bank", "apple", "sun", "acorn", "acorn")
    assert items.classes == ("finance", "food", "nature")
    assert items.labels.astype(int).tolist()[:4] == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert items.labels.astype(int).tolist()[4:] == [[0, 1, 1], [0, 1, 1]]
    first, _, third, *_, fifth, sixth = items.families
    assert first == third and fifth == sixth and len(set(items.families)) == 4
    assert "nut" in items.vocabulary and not {"new", "food", "nature"} & set(items.vocabulary)
    assert items.images.shape == (6, 1280)
    own = whole(Recipe(data="icons", labels="subgroup"))
    assert "banking" in own.classes and "food / drink" in own.classes


def test_icons_are_drawn_black_on_white(sets):
    picture = pictures(Recipe(data="icons"), torch.tensor([1]))[0]
    assert picture.shape == (64, 64, 3)
    assert (picture[20:44, 20:44] == 0).all() and (picture[:12] == 255).all()


def test_icons_without_packages_say_what_needs_none(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    icon_sets.icons.cache_clear()
    with pytest.raises(ValueError, match=r"there is no npm here; data=emoji is embedded"):
        whole(Recipe(data="icons"))


# ---- published features


def published_set(items=60, seed=0):
    """Arrays as the published sets have them: features, tags, and at least one class."""
    rng = np.random.default_rng(seed)
    texts = (rng.random((items, 30)) < 0.1).astype(np.uint8)
    texts[:, 0] = 1
    labels = (rng.random((items, 4)) < 0.3).astype(np.uint8)
    labels[:, 1] |= labels.sum(1) == 0
    return {"I": rng.random((items, 16)), "T": texts, "L": labels}


def save_hdf5(file, arrays):
    """As MATLAB writes it: 512 bytes of its own first, every matrix transposed."""
    with h5py.File(file, "w", userblock_size=512) as opened:
        for key, array in arrays.items():
            if isinstance(array, csc_matrix):
                group = opened.create_group(key)
                group.attrs["MATLAB_sparse"] = np.uint64(array.shape[0])
                group["data"], group["ir"], group["jc"] = array.data, array.indices, array.indptr
            else:
                opened[key] = np.asarray(array).T
    with file.open("r+b") as opened:
        opened.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


SAVED = {"5": lambda file, arrays: savemat(str(file), arrays), "7.3": save_hdf5}
NAMES = [("I", "T", "L"), ("IAll", "YAll", "LAll"), ("FAll", "YAll", "LAll"),
         ("images", "tags", "labels"), ("XAll", "texts", "LAll")]  # fmt: skip


def recipe_of(path, **changes):
    return Recipe(**{"data": "mirflickr", "path": str(path), "queries": 10} | changes)


@pytest.mark.parametrize("version", SAVED)
@pytest.mark.parametrize("names", NAMES, ids="-".join)
def test_published_features_in_one_file(tmp_path, version, names):
    kept = published_set()
    SAVED[version](tmp_path / "set.mat", dict(zip(names, kept.values(), strict=True)))
    items = published.whole(str(tmp_path / "set.mat"))
    assert np.allclose(items.images, kept["I"]) and (items.texts.toarray() == kept["T"]).all()
    assert (items.labels == kept["L"].astype(bool)).all() and len(items.vocabulary) == 30


@pytest.mark.parametrize("version", SAVED)
def test_published_features_in_three_files_turned_and_sparse(tmp_path, version):
    kept = published_set()
    parts = {
        "mirflickr25k-iall.mat": {"IAll": kept["I"].T},
        "mirflickr25k-yall.mat": {"YAll": csc_matrix(kept["T"].astype(float))},
        "mirflickr25k-lall.mat": {"LAll": kept["L"].astype(float) * 2 - 1},
    }
    for name, arrays in parts.items():
        SAVED[version](tmp_path / name, arrays)
    items = published.whole(str(tmp_path))
    assert np.allclose(items.images, kept["I"]) and (items.texts.toarray() == kept["T"]).all()
    assert (items.labels == kept["L"].astype(bool)).all()


def test_a_published_split(tmp_path, capsys):
    kept = published_set()
    kept["T"][:4] = 0
    kept["L"][7] = 0
    savemat(str(tmp_path / "set.mat"), kept)
    split = load(recipe_of(tmp_path / "set.mat", train_items=20), 0)
    assert (len(split.query), len(split.train), len(split.database)) == (10, 20, 49)
    assert split.query.texts.sum(1).min() > 0 and split.train.texts.sum(1).min() > 0
    assert not set(split.query.keys.tolist()) & set(split.database.keys.tolist())
    assert pictures(recipe_of("x"), split.query.keys) is None
    said = capsys.readouterr().err.splitlines()
    assert "1 of 60 items have no label and are left out" in said[0]
    assert said[1].startswith("4 of 59 items have no word: they are neither asked nor trained on")
    with pytest.raises(ValueError, match="2000 queries of 59 items"):
        load(recipe_of(tmp_path / "set.mat", queries=300), 0)  # the usual: the published sizes


def changed(**changes):
    kept = published_set() | changes
    return {key: array for key, array in kept.items() if array is not None}


def with_nan(rows):
    images = published_set()["I"]
    images[:rows, 3] = np.nan
    return images


BROKEN = [
    (changed(T=published_set(50)["T"]), "unequal lengths: image features 60 x 16, texts 50 x 30"),
    (changed(L=None), r"no labels in .*set\.mat holds .*I \(60 x 16\)"),
    (changed(I=None, foo=np.ones((2, 3))), r"no image features .*foo \(2 x 3\)"),
    (changed(I=with_nan(7)), "7 of 60 rows of image features hold NaN"),
    (changed(T=with_nan(2)), "2 of 60 rows of texts hold NaN"),
    (changed(I=np.ones((60, 3, 8, 8), np.uint8)), "raw pictures of shape.*features are wanted"),
    (changed(L=np.arange(60.0)[:, None] * 0), "one column of 1 values"),
]


@pytest.mark.parametrize("version", SAVED)
@pytest.mark.parametrize(("arrays", "said"), BROKEN, ids=lambda value: str(value)[:24])
def test_broken_published_features_are_refused_in_one_line(tmp_path, version, arrays, said):
    SAVED[version](tmp_path / "set.mat", arrays)
    with pytest.raises(ValueError, match=said) as error:
        published.whole(str(tmp_path / "set.mat"))
    assert "\n" not in str(error.value)


def test_numbers_of_classes_are_labels_too(tmp_path):
    classes = np.arange(60) % 3 + 1
    savemat(str(tmp_path / "set.mat"), changed(L=classes[:, None]))
    assert published.whole(str(tmp_path / "set.mat")).labels.argmax(1).tolist() == list(classes - 1)


@pytest.mark.parametrize("content", [b"no matrix", b"", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "set.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"set\.mat is not a \.mat file that can be read"):
        published.whole(str(tmp_path))


def test_missing_places_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere does not exist: give a \.mat file"):
        dataset.load(recipe_of(tmp_path / "nowhere"), 0)
    with pytest.raises(ValueError, match=r"holds no \.mat file"):
        published.whole(str(tmp_path))


def test_links_to_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["I"] = published_set()["I"].T
    save_hdf5(tmp_path / "set.mat", changed(I=None))
    with h5py.File(tmp_path / "set.mat", "r+") as opened:
        opened["I"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "I")
    with pytest.raises(ValueError, match="no image features"):
        published.whole(str(tmp_path / "set.mat"))


@pytest.mark.parametrize("version", SAVED)
def test_a_sparse_matrix_that_points_outside_itself_is_refused(tmp_path, version):
    outside = csc_matrix(published_set()["T"].astype(float))
    outside.indices[5] = 1_000_000
    SAVED[version](tmp_path / "set.mat", changed(T=outside))
    with pytest.raises(ValueError, match=r"set\.mat: T cannot be read"):
        published.whole(str(tmp_path / "set.mat"))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_codes_of_types_do_not_end_the_process(tmp_path, compressed):
    file = tmp_path / "set.mat"
    savemat(str(file), published_set(), do_compression=compressed)
    assert len(published.whole(str(file))) == 60
    savemat(str(file), published_set())
    whole_file = file.read_bytes()
    numbers = whole_file.index(b"I\0\0\0", 128) + 4  # the tag of what the matrix I holds
    file.write_bytes(whole_file[:numbers] + b"\xc8" + whole_file[numbers + 1 :])
    with pytest.raises(ValueError, match=r"I cannot be read: a part of it is of type 200"):
        published.whole(str(file))
    file.write_bytes(whole_file[: len(whole_file) // 2])
    with pytest.raises(ValueError, match=r"cannot be read|not a \.mat file"):
        published.whole(str(file))
