"""Reading and diagnosing logs in an environment without torch.

    .venv-light/bin/python scripts/check_without_torch.py      (`make light` makes the environment)

Every sample of tests/logs that needs nothing optional is diagnosed by the command itself; what
needs torch says so in one line.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

LOGS = Path(__file__).resolve().parent.parent / "tests" / "logs"
OPTIONAL = {"parquet-table": "pyarrow"}  # format -> the package it needs


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unstuck", *words], capture_output=True, text=True, timeout=60
    )


def main() -> None:
    assert importlib.util.find_spec("torch") is None, "torch is installed here"
    read = 0
    for folder in sorted(LOGS.iterdir()):
        for sample in sorted(folder.iterdir()):
            done = command("diagnose", str(sample))
            needed = OPTIONAL.get(folder.name)
            if needed and importlib.util.find_spec(needed) is None:
                assert done.returncode == 2 and needed in done.stderr, done.stderr
                continue
            assert done.returncode == 0 and not done.stderr, (sample, done.stderr)
            read += 1
    lacking = command("case", "list")
    assert lacking.returncode in (0, 2) and "Traceback" not in lacking.stderr, lacking.stderr
    watch = "import unstuck\ntry: unstuck.watch\nexcept ImportError as e: print(e)"
    told = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True).stdout
    assert "pip install 'unstuck[torch]'" in told, told
    print(f"{read} logs diagnosed without torch")


if __name__ == "__main__":
    main()
