"""The records of the course's runs as compact files, <folder>/<item>.json.gz."""

import gzip
import json
from pathlib import Path

from course_results import HEALTHY, Item
from record_runs import as_json

import unstuck


def write(results: list[Item], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in results:
        kept = []
        for form in (one.healthy, *one.faults.values()):
            codes = [] if form.name == HEALTHY else list(one.module.FAULTS[form.name].codes)
            for seed, run_folder in sorted(form.folders.items()):
                run = unstuck.load(run_folder / "run")
                assert isinstance(run, unstuck.Run)
                if not run.series:
                    continue  # nothing was trained by gradients
                said = f"unstuck case run course/{one.name} --seed {seed}"
                fault = "" if form.name == HEALTHY else f" --fault {form.name}"
                kept.append(
                    {"form": form.name, "seed": seed, "command": said + fault, "codes": codes}
                    | as_json(run, None)
                )
        if not kept:
            continue
        text = json.dumps(kept, separators=(",", ":"))
        file = folder / f"{one.name}.json.gz"
        file.write_bytes(gzip.compress(text.encode(), mtime=0))
        print(f"{file.name}: {len(kept)} runs, {file.stat().st_size / 1000:.0f} kB")
