"""
That the documentation is true: what it lists is complete, what it links to is there, what it shows works.

The pages that `docs/generate.py` writes are compared with the code; of the others every list of names, every command
and many of the numbers that the code also has.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.intake import client_program
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.api.routes import Endpoints, Router
from copilot_api.audit.models import Action
from copilot_api.cli.program import program
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import list_settings
from copilot_api.simulator.control import PREFIX
from copilot_api.simulator.faults import DELIVERIES, EXPIRY, SHAPES
from copilot_api.usage.filters import FIELDS, Kind
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.rollups import DIMENSIONS
from copilot_api.usage.totals import Group
from docs.generate import error_heading, list_commands, list_errors, operation_heading
from tests.harness import GatewayProcess, http_json

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md"])
BY_HAND = [page for page in PAGES if page.name != "cli.md"]
REFERENCE = ROOT / "docs" / "reference"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`copilot-api ([a-z][^`]*)`")
_ENDS_OF_COMMAND = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"}


def reference(name: str) -> str:
    """A page of the reference."""
    return (REFERENCE / name).read_text()


def headings(page: Path) -> list[str]:
    """Every heading of a page, in order."""
    text = _FENCE.sub("", page.read_text())
    return [line.lstrip("#").strip() for line in text.splitlines() if re.match(r"#{1,6} ", line)]


def anchors(page: Path) -> set[str]:
    """Every anchor of a page, as GitHub makes them."""
    found: list[str] = []
    for heading in headings(page):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [body for language, body in _FENCE.findall(page.read_text()) if language in languages]


def name_of(page: Path) -> str:
    """A page's path, to tell tests apart."""
    return str(page.relative_to(ROOT))


# What the code has is on the page -----------------------------------------------------------------------------------


def test_generated_pages_are_current() -> None:
    """After a change to errors, flags or settings, `docs/generate.py` has to be run."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "reference" / "errors.md").open("a") as page:
        page.write("more\n")
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "errors.md" in done.stderr


def test_every_error_has_its_heading() -> None:
    found = headings(REFERENCE / "errors.md")
    errors = list_errors()
    assert len(errors) > 30
    assert [error.__name__ for error in errors if error_heading(error) not in found] == []


def test_every_command_and_flag_is_listed() -> None:
    sections = dict(re.findall(r"(?ms)^## `copilot-api ([^`]+)`\n(.*?)(?=^## |\Z)", reference("cli.md")))
    for name, command in list_commands():
        flags = [flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")]
        assert [flag for flag in flags if f"`{flag}" not in sections[name]] == [], name


def test_every_setting_is_listed() -> None:
    text = reference("settings.md")
    assert [each.path for each in list_settings() if f"| `{each.path}` |" not in text] == []


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotImplementedError


def test_every_url_is_listed_with_its_methods() -> None:
    router = Router(Endpoints(*[_nowhere] * len(Endpoints.__dataclass_fields__)))
    text = reference("http-api.md")
    urls = {path: set(methods) for path, methods in router._table.items()} | {"/v1/models/{id}": set(router._model)}
    for path, methods in urls.items():
        if f"/v1{path}" in urls and path != "/" and path not in {"/usage", "/token"}:
            continue  # the same without /v1, which the page says of all
        if path in {"/v1/usage", "/v1/token"}:
            continue  # the same with it
        row = re.search(rf"^\| \[`{re.escape(path)}`\]\((#\S+)\) \| ([A-Z, ]+) \|", text, re.MULTILINE)
        assert row is not None, path
        assert set(row[2].split(", ")) == methods, path
        assert row[1][1:] in anchors(REFERENCE / "http-api.md")


def test_every_operation_of_the_admin_api_has_its_heading_and_is_in_the_list() -> None:
    text, found = reference("admin-api.md"), headings(REFERENCE / "admin-api.md")
    for operation in OPERATIONS:
        assert operation_heading(operation) in found
        assert f"| [`{operation_heading(operation)}`](#" in text


def test_every_field_and_cause_of_a_usage_event_is_listed() -> None:
    fields, _, causes = reference("usage-events.md").partition("## cause")
    assert re.findall(r"^\| `(\w+)` \|", fields, re.MULTILINE) == list(UsageEvent.__struct_fields__)
    assert re.findall(r"^\| `(\w+)` \|", causes, re.MULTILINE) == [cause.value for cause in Cause]


def test_every_field_of_a_query_and_every_group_is_listed() -> None:
    text = (ROOT / "docs" / "guides" / "usage.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| (yes|no) \|$", text, re.MULTILINE)
    assert table == [
        (
            name,
            field.help,
            ", ".join(f"`{example}`" for example in field.examples),
            "yes" if field.column in {"at", *DIMENSIONS} else "no",
        )
        for name, field in FIELDS.items()
    ]
    parts = [f"`{name}`" for name, field in FIELDS.items() if field.kind is Kind.PART]
    assert f"{', '.join(parts[:-1])} and {parts[-1]} find a part of the text" in text
    groups = text.partition("The groups are ")[2].partition("Without `--since`")[0]
    assert set(re.findall(r"`(\w+)`", groups)) == {group.value for group in Group}


@pytest.mark.parametrize("path", ["/admin/api/usage", "/admin/api/usage/waste", "/admin/api/events"])
def test_every_parameter_of_the_ledger_is_listed(gateway: GatewayProcess, admin_key: str, path: str) -> None:
    _, answer = http_json("GET", f"{gateway.url}{path}?nonsense=1", key=admin_key)
    read = re.findall(r"\w+", answer["error"]["message"].partition("; there are ")[2].partition(" (request id")[0])
    section = reference("http-api.md").partition(f"## GET {path}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    listed = re.findall(r"`(\w+)`", " ".join(rows) or section.partition("`since`, `until` and `q` as above")[1])
    assert sorted(listed) == read


def test_every_client_program_is_listed() -> None:
    listed = re.findall(r"`([a-z-]+)`", reference("usage-events.md").partition("## client")[2].partition("## ")[0])
    known = {name for _, name in import_module("copilot_api.api.intake")._CLIENTS}
    assert set(listed) == known | {client_program(b""), import_module("copilot_api.api.trace_replay").CLIENT}


def test_every_file_and_audited_action_is_listed() -> None:
    text = reference("files.md")
    directory = DataDirectory(Path("/"))
    of_this_version = {name for name in dir(DataDirectory) if isinstance(getattr(DataDirectory, name), property)}
    for name in of_this_version - {"traces"}:
        assert f"`{getattr(directory, name).name}" in text, name
    listed = re.findall(r"(?m)^\| `(\w+\.\w+)` \|", text.partition("| action |")[2])
    assert listed == [str(each) for each in Action]


def test_every_fault_and_control_of_the_simulator_is_listed() -> None:
    text = reference("simulator.md")
    assert [name for name in (*SHAPES, *DELIVERIES, EXPIRY) if f"`{name}`" not in text] == []
    controls = import_module("copilot_api.simulator.control")._CONTROLS
    assert [f"{method} {path}" for method, path in controls if f"`{method} {PREFIX}{path}`" not in text] == []


def test_every_dependency_is_described_as_it_is_pinned() -> None:
    wanted = [
        re.split(r"[>=<]", line)[0]
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ]
    pinned = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    )
    described = re.findall(r"^\| \[([a-z0-9-]+)\]\(#\1\) (\S+) \|", reference("dependencies.md"), re.MULTILINE)
    assert described == [(name, pinned[name]) for name in wanted]
    assert f"{len(pinned)} in all" in reference("dependencies.md")


def test_the_code_map_has_every_package_and_names_files_that_exist() -> None:
    package = ROOT / "src" / "copilot_api"
    text = (ROOT / "docs" / "concepts" / "architecture.md").read_text()
    rows = dict(re.findall(r"(?m)^\| `([a-z_.]+)/?` \| [^|]* \|(.*)\|$", text))
    there = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(rows) == there - {"__init__.py", "__main__.py"}
    for name, files in rows.items():
        assert [file for file in re.findall(r"`([\w/]+\.py)`", files) if not (package / name / file).exists()] == []


@pytest.mark.parametrize("page", BY_HAND, ids=name_of)
def test_source_files_that_a_page_names_exist(page: Path) -> None:
    packages = "|".join(path.name for path in (ROOT / "src" / "copilot_api").iterdir() if path.is_dir())
    named = re.findall(rf"`((?:{packages})/[\w/]+\.py)", page.read_text())
    assert [name for name in named if not (ROOT / "src" / "copilot_api" / name).exists()] == []


# Links --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        if not there.is_relative_to(ROOT) or not there.is_file() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = [target.partition("#")[0] for target in _LINK.findall(page.read_text()) if "://" not in target]
        waiting += [(page.parent / path).resolve() for path in links if path]
    assert [name_of(page) for page in PAGES if page not in reached] == []


# Commands -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A command line that a page shows."""

    page: Path
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{name_of(self.page)}: copilot-api {' '.join(self.arguments)}"


def shown_commands() -> Iterator[Command]:
    """Every `copilot-api …` in a fenced block, wherever the program is installed and whoever runs it."""
    for page in BY_HAND:
        for block in blocks(page, "sh", "ini"):
            for line in block.replace("\\\n", " ").splitlines():
                if "copilot-api" in line and not line.lstrip().startswith(("#", "[")):
                    yield from _commands_in(page, line)


def _commands_in(page: Path, line: str) -> Iterator[Command]:
    words = shlex.split(line.removeprefix("ExecStart="), comments=True)
    for place, word in enumerate(words):
        is_command = all("=" in each or each in {"sudo", "-u", "copilot-api"} for each in words[:place])
        is_program = word.split("/")[-1] == "copilot-api" and "=" not in word and words[place - 1 : place] != ["-u"]
        if is_program and is_command:
            rest = words[place + 1 :]
            end = next((at for at, each in enumerate(rest) if each in _ENDS_OF_COMMAND), len(rest))
            yield Command(page, tuple(rest[:end]))
            return


def parse(arguments: list[str], *, is_complete: bool = True) -> None:
    """Find the command and have it read its flags. Raises a usage error; runs nothing and checks no value."""
    command: click.Command = program
    context = click.Context(program, info_name="copilot-api")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        found = command.get_command(context, arguments[0])
        if found is None:
            raise click.UsageError(f"no such command: {arguments[0]}")
        command, arguments = found, arguments[1:]
        context = click.Context(command, parent=context)
    values, too_many, _ = command.make_parser(context).parse_args(list(arguments))
    arguments_taken = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    wanted = [parameter.name for parameter in arguments_taken if parameter.required]
    missing = [name for name in wanted if not isinstance(values.get(name or ""), str)]
    if too_many or (missing and is_complete):
        raise click.UsageError(f"missing: {missing}, too many: {too_many}")


@pytest.mark.parametrize("command", list(shown_commands()), ids=str)
def test_a_command_line_that_is_shown_exists(command: Command) -> None:
    parse(list(command.arguments))


def test_the_pages_show_commands() -> None:
    assert len(list(shown_commands())) > 40


@pytest.mark.parametrize("wrong", ["nothing", "keys make", "start --no-such-flag", "keys show", "keys show a b"])
def test_a_command_line_that_does_not_exist_is_noticed(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong.split())


@pytest.mark.parametrize("page", BY_HAND, ids=name_of)
def test_a_command_that_the_text_mentions_exists(page: Path) -> None:
    for mentioned in _INLINE.findall(_FENCE.sub("", page.read_text())):
        parse(shlex.split(mentioned), is_complete=False)


# Numbers ------------------------------------------------------------------------------------------------------------

LIFE, FAILURES = "docs/concepts/life-of-a-request.md", "docs/concepts/failure-modes.md"
STAMP, SPLICING = (
    "docs/decisions/0004-key-index-and-stamp-file.md",
    "docs/decisions/0005-duplicate-keys-and-splicing.md",
)
QUOTED = [
    (LIFE, "{} headers, 30 s", "api.http_protocol.MAX_HEADER_COUNT", 1),
    (LIFE, "{} KiB and", "api.http_protocol.MAX_HEADER_BYTES", 1024),
    (LIFE, "{} s for the headers", "api.http_protocol.HEADER_SECONDS", 1),
    (LIFE, "{} s of silence", "api.http_protocol.BODY_SILENCE_SECONDS", 1),
    (LIFE, "{} s of idleness", "api.http_protocol.IDLE_SECONDS", 1),
    (LIFE, "up to {} s for the catalog", "gateway.exchange.CATALOG_PATIENCE_SECONDS", 1),
    (LIFE, "After {} minutes of silence", "upstream.transport.MAX_SILENCE_SECONDS", 60),
    (LIFE, "within {} s)", "upstream.client.PATIENCE_SECONDS", 1),
    (FAILURES, "{} at most, and go", "usage.recorder.MAX_BACKLOG", 1),
    (FAILURES, "after {} s at most", "keys.index.MAX_AGE_SECONDS", 1),
    (FAILURES, "tried again every {} s", "upstream.catalog.RETRY_SECONDS", 1),
    (FAILURES, "waits up to {} s, then fails", "storage.sqlite.BUSY_SECONDS", 1),
    (FAILURES, "dropped for {} s", "api.http_protocol.LINGER_SECONDS", 1),
    ("docs/decisions/0002-journal-is-the-queue.md", "{} at most", "usage.recorder.MAX_BACKLOG", 1),
    (STAMP, "Every {} s it", "keys.index.MAX_AGE_SECONDS", 1),
    (SPLICING, "small bodies ({} KiB", "protocols.chat.request._SMALL_BODY_BYTES", 1024),
    ("docs/reference/files.md", "a file of {} MiB", "usage.journal.SEGMENT_BYTES", 1024 * 1024),
    ("docs/reference/http-api.md", "last {} days", "api.account.OWN_USAGE_DAYS", 1),
    ("docs/reference/errors.md", "No answer within {} s", "admission.approval.APPROVAL_SECONDS", 1),
    (FAILURES, "tried again after {} minutes, then ever more seldom", "upstream.quota_keeper.POLL_SECONDS", 60),
    ("docs/guides/credits.md", "takes longer than {} s", "upstream.quota_keeper.PATIENCE_SECONDS", 1),
    ("docs/guides/opentelemetry.md", "is sent for {} s at most", "observability.otel_export.CLOSE_SECONDS", 1),
    ("docs/guides/opentelemetry.md", "{} may wait", "observability.otel_export.USUAL_QUEUE", 1),
    ("docs/guides/opentelemetry.md", "{} go at once", "observability.otel_export.USUAL_BATCH", 1),
    (FAILURES, "{} spans wait", "observability.otel_export.USUAL_QUEUE", 1),
    ("docs/guides/credits.md", "last {} whole days", "usage.forecast.SAMPLED_DAYS", 1),
    ("docs/reference/http-api.md", "how many groups, {} at most", "usage.explorer.MAX_TOP", 1),
    ("docs/reference/http-api.md", "There are {} points at most", "usage.explorer.MAX_BUCKETS", 1),
    ("docs/reference/http-api.md", "how many, {} at most", "api.ledger.MAX_PAGE", 1),
    ("docs/guides/usage.md", "row groups of {}", "usage.exports._ROW_GROUP", 1),
    ("docs/reference/http-api.md", "allowance in `charged_to`, {} at most", "usage.credit_reports.MOST_READINGS", 1),
]
"""Page, words around the number, constant, and the page's unit in that of the constant."""


@pytest.mark.parametrize(("page", "words", "constant", "unit"), QUOTED)
def test_a_number_on_a_page_is_the_codes(page: str, words: str, constant: str, unit: int) -> None:
    module, _, name = constant.rpartition(".")
    value = getattr(import_module(f"copilot_api.{module}"), name) / unit
    text = " ".join((ROOT / page).read_text().split())
    assert words.format(f"{value:,g}") in text


# Examples -----------------------------------------------------------------------------------------------------------


def examples(*languages: str) -> list[tuple[str, str]]:
    """Examples that can be run against a gateway: page and source."""
    return [
        (name_of(page), block)
        for page in BY_HAND
        for block in blocks(page, *languages)
        if "127.0.0.1:4141" in block and "copilot-api " not in block and "ssh " not in block
    ]


@pytest.fixture(scope="session")
def on_gateway(gateway: GatewayProcess, client_key: str) -> "OnGateway":
    """See `OnGateway`."""
    return OnGateway(gateway.url, client_key)


@dataclass(frozen=True)
class OnGateway:
    """Puts a real gateway and a real key into an example."""

    url: str
    key: str

    def put(self, example: str) -> str:
        return example.replace("http://127.0.0.1:4141", self.url).replace("sk-cap-...", self.key)


def test_the_readme_has_examples() -> None:
    assert "README.md" in {page for page, _ in examples("python")}
    assert "README.md" in {page for page, source in examples("sh") if "curl" in source}


@pytest.mark.parametrize(("page", "source"), examples("python"))
def test_python_examples_run(page: str, source: str, on_gateway: OnGateway) -> None:
    done = subprocess.run(
        [sys.executable, "-c", on_gateway.put(source)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize(("page", "source"), [each for each in examples("sh") if "curl" in each[1]])
def test_curl_examples_run(page: str, source: str, on_gateway: OnGateway) -> None:
    script = "set -e\n" + on_gateway.put(source).replace("curl ", "curl -sS --fail-with-body ")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("data: [DONE]" if '"stream": true' in source else "}")
