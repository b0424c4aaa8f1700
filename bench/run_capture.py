"""What captures cost those who are not captured, as a script: `python bench/run_capture.py --help`."""

import sys
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in run.py
    from bench.capture import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
