"""How fair the line before the slots is, as a script: `python bench/run_fairness.py` prints the table of the docs."""

import sys
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in run.py
    from bench.fairness import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
