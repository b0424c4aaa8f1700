"""
Every source file has its test file, where one looks for it: `src/copilot_api/a/b/c.py` → `tests/a/b/test_c.py`.

What has none is listed here with the reason; an entry that is no longer needed fails too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "copilot_api"
TESTS = ROOT / "tests"

WITHOUT_LOGIC = {"__init__.py", "__main__.py"}
WITHOUT_TESTS_OF_ITS_OWN: dict[str, str] = {
    "storage/migrations/": "tests/storage/test_migrate.py runs every revision and tests/storage/test_schema.py compares the outcome",
    **dict.fromkeys(
        [f"app/{name}.py" for name in ("account", "admin_plane", "process", "records", "surroundings")],
        "tests/app/test_composition.py runs the whole that app/composition.py makes of it",
    ),
}
MAX_LINES = 500
LONGER: dict[str, str] = {}
"""Files over the limit, each with its reason (style guide, section 7)."""


def sources() -> list[Path]:
    """The modules below `src/copilot_api`, relative to it."""
    return sorted(
        path.relative_to(SOURCE)
        for path in SOURCE.rglob("*.py")
        if path.name not in WITHOUT_LOGIC and "__pycache__" not in path.parts
    )


def mirror(source: Path) -> Path:
    return source.parent / f"test_{source.name}"


def exempting(source: Path) -> str | None:
    """The entry that exempts `source`."""
    name = source.as_posix()
    return next(
        (
            entry
            for entry in WITHOUT_TESTS_OF_ITS_OWN
            if name == entry or (entry.endswith("/") and name.startswith(entry))
        ),
        None,
    )


def test_there_are_sources() -> None:
    assert len(sources()) > 90


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.as_posix())
def test_a_source_file_has_its_test_file(source: Path) -> None:
    if exempting(source) is None:
        path = TESTS / mirror(source)
        assert path.is_file(), f"tests/{mirror(source).as_posix()} is missing"
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert any(function.name.startswith("test_") for function in functions), f"{path} tests nothing"


def test_every_exception_is_needed_and_has_its_reason() -> None:
    used = {exempting(source) for source in sources()}
    for entry, reason in WITHOUT_TESTS_OF_ITS_OWN.items():
        assert entry in used, f"{entry} is no more"
        assert len(reason) > 20
        exempted = [source for source in sources() if exempting(source) == entry]
        assert not any((TESTS / mirror(source)).exists() for source in exempted), f"{entry} has tests now"


def test_a_mirrored_test_file_has_its_source() -> None:
    """A file that is named after a module that moved or went would be looked for in vain."""
    packages = {source.parent for source in sources()}
    known = {mirror(source) for source in sources()}
    extra = {
        Path("test_layout.py"),
        Path("protocols/chat/test_cases.py"),
    }
    lost = [
        path.relative_to(TESTS)
        for path in TESTS.rglob("test_*.py")
        if path.relative_to(TESTS).parent in packages and path.relative_to(TESTS) not in known | extra
    ]
    assert not lost, f"no such module: {sorted(map(str, lost))}"


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.as_posix())
def test_a_module_opens_with_what_it_is_for_and_stays_readable(source: Path) -> None:
    text = (SOURCE / source).read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "no docstring"
    lines = text.count("\n")
    assert lines <= MAX_LINES or source.as_posix() in LONGER, f"{lines} lines: say why, or split it"


def test_every_package_says_what_it_is_for() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
