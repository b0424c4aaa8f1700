"""The benchmark as a script: `python bench/run.py --help`. README.md here has the method."""

import sys
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own directory is there, its parent is not
    from bench.runner import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
