"""How long the admin pages take, as a script: `python bench/run_pages.py --help`. README.md has the method."""

import sys
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in run.py
    from bench.pages import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
