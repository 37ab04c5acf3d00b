"""Draws what runs left: curves, similarities and places of their codes, and what queries find.

    python -m unstuck.cases.agch.pictures runs/reported runs/repaired --out pictures

The first run is "before", a second one "after". PNG files of at most 300 kB; all rankings are those
of binary codes. The colours are Okabe and Ito's (2008) and Tol's (2021), which colour-blind readers
tell apart.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from unstuck.cases.agch import examples
from unstuck.cases.agch.codes import WAYS, RunCodes, read, short
from unstuck.cases.agch.dataset import Split
from unstuck.cases.agch.grids import grid, save
from unstuck.cases.agch.methods import BASELINES, Distances, baseline, distances, split_of
from unstuck.cases.agch.retrieval import precision_at, precision_recall
from unstuck.data.package import PackageError

BEFORE, AFTER = "#D55E00", "#0072B2"
OTHERS: Mapping[str, Mapping[str, Any]] = {  # of the baselines
    "random": {"color": "#AAAAAA", "linestyle": ":"},
    "constant": {"color": "#AAAAAA", "linestyle": "--"},
    "lsh": {"color": "#E69F00", "linestyle": "--"},
    "cca-itq": {"color": "#009E73", "linestyle": "-."},
    "djsrh": {"color": "#CC79A7", "linestyle": (0, (5, 1))},
    "features": {"color": "#000000", "linestyle": (0, (1, 1))},
    "features both": {"color": "#000000", "linestyle": (0, (4, 1, 1, 1))},
}
CLASSES = ("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255",
           "#AA4499")  # fmt: skip
REST = "#BBBBBB"  # classes beyond those
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # found items, of the precision curves
MATRIX_ITEMS = 400  # a side
PLACED_ITEMS = 800  # of each modality
TEXT = 7.5  # points
A_BIT = 2.0  # by which codes of one bit differ


def draw(
    runs: Sequence[RunCodes], split: Split, out: Path, compared: Mapping[str, Distances]
) -> list[Path]:
    """Every picture of one or two runs on one split, and curves of what they are compared with."""
    names = _names(runs)
    methods: dict[str, Distances] = {n: distances(run) for n, run in zip(names, runs, strict=True)}
    methods |= compared
    labels = runs[0].labels["query"], runs[0].labels["database"]
    said = _said(runs)
    files = [out / f"{name}.png" for name in ("recall", "precision", "similarity", "places")]
    recall_curves(files[0], methods, labels, said)
    precision_curves(files[1], methods, labels, said)
    similarity_matrices(files[2], dict(zip(names, runs, strict=True)), split.classes)
    places(files[3], dict(zip(names, runs, strict=True)), split.classes)
    for way in WAYS:
        files.append(out / f"found-{way.replace(' ', '-')}.png")
        rows = examples.rows(runs[-1], split, way)
        grid(files[-1], rows, f"{way}: {names[-1]}, {runs[-1].described}")
    return files


def _names(runs: Sequence[RunCodes]) -> list[str]:
    """Forms of the runs, told apart by bits and then by folder where they are the same."""
    forms = [short(run.recipe) for run in runs]
    longer = [f"{name}, {run.bits} bits" for name, run in zip(forms, runs, strict=True)]
    folders = [f"{name} ({run.folder})" for name, run in zip(forms, runs, strict=True)]
    return next((n for n in (forms, longer) if len(set(n)) == len(runs)), folders)


def _said(runs: Sequence[RunCodes]) -> str:
    return "; ".join(dict.fromkeys(run.described for run in runs))


def recall_curves(
    file: Path, methods: Mapping[str, Distances], labels: tuple[Any, Any], said: str
) -> None:
    """Precision over recall, one panel a direction."""
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.5), sharey=True, layout="constrained")
    for axis, way in zip(axes, WAYS, strict=True):
        for name, style in _styles(methods).items():
            recall, precision = precision_recall(methods[name][way], *labels)
            axis.plot(recall, precision, label=name, **style)
        _furnish(axis, way, "recall (share of the relevant items found)")
        axis.set_xlim(0, 1)
    _finish(figure, axes, file, f"Precision over recall, {said}")


def precision_curves(
    file: Path, methods: Mapping[str, Distances], labels: tuple[Any, Any], said: str
) -> None:
    """Precision among the first N found, one panel a direction."""
    counts = [n for n in COUNTS if n <= len(labels[1])]
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.5), sharey=True, layout="constrained")
    for axis, way in zip(axes, WAYS, strict=True):
        for name, style in _styles(methods).items():
            values = precision_at(methods[name][way], *labels, counts)
            axis.plot(counts, [values[n] for n in counts], label=name, **style)
        _furnish(axis, way, "N, the number of items found")
        axis.set_xscale("log")
        axis.set_xticks(counts, [str(n) for n in counts])
        axis.minorticks_off()
    _finish(figure, axes, file, f"Precision among the first N, {said}")


def _styles(methods: Mapping[str, Distances]) -> dict[str, dict[str, Any]]:
    """Runs whole and thick, baselines broken."""
    own = [name for name in methods if name not in BASELINES]
    colours = [BEFORE, AFTER] if len(own) > 1 else [AFTER]
    styles = dict(zip(own, ({"color": c, "linewidth": 2.2} for c in colours), strict=True))
    others = [name for name in methods if name in BASELINES]
    return styles | {n: {"linewidth": 1.4, **OTHERS[n]} for n in others}


def _furnish(axis: Axes, title: str, x: str) -> None:
    axis.set_title(title, fontsize=TEXT + 1)
    axis.set_xlabel(x, fontsize=TEXT)
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=TEXT - 0.5)
    axis.grid(color="#E5E5E5", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _finish(figure: Any, axes: Sequence[Axes], file: Path, title: str) -> None:
    axes[0].set_ylabel("precision", fontsize=TEXT)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=TEXT, frameon=False)
    figure.suptitle(title, fontsize=TEXT + 1)
    save(figure, file)


def similarity_matrices(file: Path, runs: Mapping[str, RunCodes], classes: Sequence[str]) -> None:
    """Cosines of image codes (rows) with text codes (columns), the database sorted by class."""
    first = next(iter(runs.values()))
    order, sort = _sorted(first.labels["database"], MATRIX_ITEMS)
    share = first.labels["database"][order].astype(np.float32)
    wanted = (share @ share.T > 0).astype(np.float32)
    panels = {"share a label": wanted} | {name: _cosines(run, order) for name, run in runs.items()}
    size = (2.9 * len(panels) + 1.5, 3.5)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained")
    for axis, (name, matrix) in zip(axes, panels.items(), strict=True):
        drawn = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        same, other = matrix[wanted > 0].mean(), matrix[wanted == 0].mean()
        means = f"mean of relevant pairs {same:+.2f}, of others {other:+.2f}"
        axis.set_title(name if matrix is wanted else f"{name}, {runs[name].bits} bits", fontsize=8)
        axis.set_xlabel("1 where two items do" if matrix is wanted else means, fontsize=TEXT)
        axis.set_xticks([])
        axis.set_yticks([])
    middles = [np.flatnonzero(sort == c).mean() for c in np.unique(sort)]
    if len(middles) <= 2 * len(CLASSES):
        named = [_class(classes, int(c)) for c in np.unique(sort)]
        axes[0].set_yticks(middles, named, fontsize=TEXT - 1)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.01)
    bar.set_label("cosine of the binary codes, image with text", fontsize=TEXT)
    bar.ax.tick_params(labelsize=TEXT - 1)
    save(figure, file)


def _sorted(labels: NDArray[np.bool_], most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows sorted by their first class, at most so many spread evenly; and these classes."""
    first = labels.argmax(1)
    order = np.argsort(first, kind="stable")
    order = order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]
    return order, first[order]


def _cosines(run: RunCodes, order: NDArray[np.intp]) -> NDArray[np.float32]:
    image, text = (run.signs[f"database_{kind}"][order] for kind in ("image", "text"))
    return np.asarray(image.astype(np.float32) @ text.T.astype(np.float32) / run.bits)


def _class(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index}"


def places(file: Path, runs: Mapping[str, RunCodes], classes: Sequence[str]) -> None:
    """PCA and t-SNE of the database's binary codes, both modalities placed together."""
    figure, axes = plt.subplots(
        len(runs), 4, figsize=(9.6, 2.35 * len(runs) + 0.8), squeeze=False, layout="constrained"
    )
    handles: dict[str, str] = {}
    for row, (name, run) in zip(axes, runs.items(), strict=True):
        order, sort = _sorted(run.labels["database"], PLACED_ITEMS)
        codes = np.concatenate([run.signs[f"database_{k}"][order] for k in ("image", "text")])
        common = np.bincount(run.labels["database"].argmax(1)).argsort()[::-1][: len(CLASSES)]
        rank = {int(c): i for i, c in enumerate(sorted(common))}
        colours = np.array([rank.get(int(c), len(CLASSES)) for c in sort])
        for first, (how, place) in zip((0, 2), _placed(codes, run.seed).items(), strict=True):
            for i, kind in enumerate(("image", "text")):
                axis = row[first + i]
                _dots(axis, np.split(place, 2)[i], colours, place)
                axis.set_title(f"{how}: {kind} codes", fontsize=TEXT)
        unique = f"{len(np.unique(codes, axis=0))} different of {len(codes)} codes"
        row[0].set_ylabel(f"{name}, {run.bits} bits\n{unique}", fontsize=TEXT)
        handles |= {_class(classes, c): CLASSES[i] for c, i in rank.items()}
        if (colours == len(CLASSES)).any():
            handles["other classes"] = REST
    dots = [Line2D([], [], marker="o", linestyle="", color=c) for c in handles.values()]
    columns = 5 if len(handles) > 8 else 4
    figure.legend(
        dots, list(handles), fontsize=TEXT, loc="outside lower center", ncols=columns, frameon=False
    )
    save(figure, file)


def _placed(codes: NDArray[np.int8], seed: int) -> dict[str, NDArray[np.float64]]:
    """Codes (n, bits) in the plane, by two methods; of equal codes PCA makes one point."""
    numbers = codes.astype(np.float64)
    plane = PCA(2).fit_transform(numbers) if numbers.std(0).any() else np.zeros((len(codes), 2))
    numbers += np.random.default_rng(seed).normal(0, 0.01, numbers.shape)  # tells twins apart
    near = min(30.0, (len(codes) - 1) / 3)
    tsne = TSNE(perplexity=near, metric="cosine", init="random", random_state=seed, n_jobs=1)
    return {"PCA": plane, "t-SNE": tsne.fit_transform(numbers)}


def _dots(
    axis: Axes, part: NDArray[np.float64], colours: NDArray[np.intp], whole: NDArray[np.float64]
) -> None:
    """One modality's codes, within the limits of both."""
    scheme = ListedColormap([*CLASSES, REST])
    x, y = part.T
    axis.scatter(x, y, c=colours, cmap=scheme, vmin=0, vmax=len(CLASSES), s=5, linewidths=0)
    low, high = whole.min(0), whole.max(0)
    margin = 0.04 * (high - low) + A_BIT
    axis.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axis.set_ylim(low[1] - margin[1], high[1] + margin[1])
    axis.set_xticks([])
    axis.set_yticks([])


def main(arguments: list[str] | None = None) -> int:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("python -m unstuck.cases.agch.pictures", description=about)
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="or before and after")
    options.add_argument("--out", type=Path, default=Path("pictures"), help="folder to fill")
    options.add_argument("--alone", action="store_true", help="curves without the baselines")
    chosen = options.parse_args(arguments)
    try:
        if len(chosen.runs) > 2:
            raise ValueError("give one run, or one before and one after")
        runs = [read(run) for run in chosen.runs]
        split = split_of(runs)
        last, names = runs[-1], () if chosen.alone else BASELINES
        compared = {name: baseline(name, split, last.bits, last.seed) for name in names}
        for file in draw(runs, split, chosen.out, compared):
            print(f"{file}  {file.stat().st_size / 1000:.0f} kB")
    except (ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
