"""Samples of Ultralytics' results.csv, into tests/logs/ultralytics-csv.

    YOLO_OFFLINE=true python scripts/log_samples/ultralytics_results.py

Needs ultralytics, torchvision and opencv. `boxes` is a YOLOv8n trained from scratch to find a white
square in noise, by Ultralytics itself. Where torchvision has no compiled operators for the
installed torch, plain Python stands in for the one that is needed to measure the boxes.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parents[2] / "tests" / "logs" / "ultralytics-csv" / "boxes"


def suppressed(boxes, scores, iou_threshold):
    """Of boxes that overlap more than a limit the one with the highest score."""
    from torchvision.ops import box_iou

    kept = []
    left = scores.argsort(descending=True)
    while left.numel():
        kept.append(int(left[0]))
        overlap = box_iou(boxes[left[:1]], boxes[left[1:]])[0]
        left = left[1:][overlap <= iou_threshold]
    return torch.tensor(kept, dtype=torch.long)


def with_operators() -> None:
    """Make torchvision importable beside a torch it was not compiled for."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
    from torchvision import extension

    if not extension._has_ops():
        torchvision.ops.nms = suppressed
        torchvision.ops.boxes.nms = suppressed


def drawn(folder: Path) -> None:
    import cv2

    random = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 12)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            picture = random.integers(0, 60, (64, 64, 3), dtype=np.uint8)
            x, y = (int(v) for v in random.integers(16, 48, 2))
            cv2.rectangle(picture, (x - 10, y - 10), (x + 10, y + 10), (255, 255, 255), -1)
            cv2.imwrite(str(folder / "images" / split / f"{i}.png"), picture)
            label = f"0 {x / 64} {y / 64} {20 / 64} {20 / 64}\n"
            (folder / "labels" / split / f"{i}.txt").write_text(label)
    names = f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n"
    (folder / "data.yaml").write_text(names)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOLO_CONFIG_DIR"] = folder
        with_operators()
        from ultralytics import YOLO, settings

        settings.update(dict.fromkeys(("mlflow", "wandb", "tensorboard", "sync"), False))
        drawn(Path(folder) / "data")
        YOLO("yolov8n.yaml").train(
            data=f"{folder}/data/data.yaml", epochs=60, imgsz=64, batch=8, device="cpu", workers=0,
            plots=False, save=False, amp=False, seed=0, project=folder, name="boxes",
        )  # fmt: skip
        OUT.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f"{folder}/boxes/results.csv", OUT / "results.csv")
        lines = (Path(folder) / "boxes" / "args.yaml").read_text().splitlines(keepends=True)
        (OUT / "args.yaml").write_text("".join(line for line in lines if folder not in line))


if __name__ == "__main__":
    main()
