"""`/admin/api/config`: the configuration for programs that hold an admin key."""

import asyncio
import hashlib
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.admin_endpoint import AdminEndpoint
from copilot_api.api.admin_services import list_config_acts
from copilot_api.api.config import ConfigApi, ConfigSource, ConfigWriter
from copilot_api.api.door import Door
from copilot_api.api.operations.config import MAX_CONFIG_BYTES
from copilot_api.audit.models import Origin
from copilot_api.config.loader import ConfigInvalid, parse_config
from copilot_api.config.schema import ConfigFile, json_schema
from copilot_api.config.settings import Exposure, ModelAlias, Settings
from copilot_api.config.store import ConfigVersionNotFound, Version
from copilot_api.errors import BadRequest, CatalogUnavailable, StorageUnavailable
from copilot_api.gateway.impact import ImpactQuery
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.catalog import Catalog
from copilot_api.usage.models import Cause, UsageEvent
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.gateway.calls import make_model
from tests.stored import Stored

PATH = Path("/data/config.json")
AT = datetime(2026, 7, 1, tzinfo=UTC)
CONFIG, PREVIEW = "/admin/api/config", "/admin/api/config/preview"
CATALOG = Catalog([make_model("gpt-4.1"), make_model("gpt-5-mini")])


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class InForce:
    """What is in force; a file is checked for what its form says, and for an alias `bad`."""

    content: bytes = b"{}"
    rejected: str | None = None
    path: Path = PATH
    checked_in: list[threading.Thread] = field(default_factory=list)

    @property
    def config(self) -> ConfigFile:
        return parse_config(self.content, "config.json")

    @property
    def hash(self) -> str:
        return hash_of(self.content)

    @property
    def current(self) -> Settings:
        return self.check(self.content)

    def check(self, content: bytes) -> Settings:
        self.checked_in.append(threading.current_thread())
        config = parse_config(content, "config.json")
        if "bad" in config.models:
            raise BadRequest("models.bad: no\nmodels.bad.upstream: no", hint="move the file away")
        aliases = {name: ModelAlias(entry.upstream or name) for name, entry in config.models.items()}
        return Settings(exposure=Exposure(aliases, config.exposure == "listed"))


@dataclass
class Writer:
    """A file in memory, and who wrote it."""

    content: bytes = b"{}"
    written_by: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    failure: Exception | None = None
    written_in: list[threading.Thread] = field(default_factory=list)
    versions: dict[str, bytes] = field(default_factory=dict)
    """Those that were replaced, newest first."""
    details: list[dict[str, object] | None] = field(default_factory=list)

    def read(self) -> tuple[bytes | None, str]:
        return self.content, hash_of(self.content)

    def history(self) -> list[Version]:
        return [Version(name, AT, hash_of(content), len(content)) for name, content in self.versions.items()]

    def read_version(self, version_id: str) -> bytes:
        if version_id not in self.versions:
            raise ConfigVersionNotFound("there is no such version")
        return self.versions[version_id]

    def replace(
        self,
        content: bytes,
        expected: str | None,
        actor: str,
        origin: Origin,
        detail: dict[str, object] | None = None,
    ) -> str:
        self.written_in.append(threading.current_thread())
        if self.failure is not None:
            raise self.failure
        if expected is not None and expected != hash_of(self.content):
            raise BadRequest("config.json was changed by somebody else in the meantime", status=409)
        self.content = content
        self.written_by.append(actor)
        self.origins.append(origin)
        self.details.append(detail)
        return hash_of(content)


class Api:
    """The endpoints behind the router, as an admin finds them."""

    def __init__(self, door: Door, stored: Stored, clock: FakeClock, secret: str) -> None:
        self.source, self.writer = InForce(), Writer()
        self.secret = secret
        self.catalog: Catalog | None = CATALOG
        query = ImpactQuery(stored.keys, stored.usage)
        api = ConfigApi(self.source, self.writer, query, self._find_catalog, clock)
        acts = list_config_acts(api)
        self.router = make_admin_router({name: AdminEndpoint(door, clock, act) for name, act in acts.items()})

    async def _find_catalog(self) -> Catalog:
        if self.catalog is None:
            raise CatalogUnavailable("the list of Copilot's models is not known yet", retry_after=2.0)
        return self.catalog

    def call(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {self.secret}")
        return asyncio.run(ask(self.router, path, method=method, headers=named, body=body))

    def put(self, config: Any, expected: str | None = "*") -> Reply:
        body = config if isinstance(config, bytes) else json.dumps(config).encode()
        return self.call(CONFIG, "PUT", body, **({} if expected is None else {"if_match": expected}))

    def preview(self, config: Any) -> Reply:
        body = config if isinstance(config, bytes) else json.dumps(config).encode()
        return self.call(PREVIEW, "POST", body)


@pytest.fixture
def api(door: Door, stored: Stored, clock: FakeClock, admin: IssuedKey) -> Api:
    return Api(door, stored, clock, admin.secret)


def code_of(reply: Reply) -> str:
    """The code of an error in OpenAI's envelope, which holds the request id that the headers say."""
    assert reply.headers is not None
    error = reply.json["error"]
    assert error.keys() >= {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"] in error["message"]
    return str(error["code"])


def test_the_doubles_are_what_the_api_asks_for() -> None:
    source: ConfigSource = InForce()
    writer: ConfigWriter = Writer()
    assert source.path == PATH
    assert writer is not None


# Who may --------------------------------------------------------------------------------------------------------------

EVERY = [(CONFIG, "GET"), (CONFIG, "PUT"), (PREVIEW, "POST")]


@pytest.mark.parametrize(("path", "method"), EVERY)
def test_only_an_admin_key_may(api: Api, client: IssuedKey, path: str, method: str) -> None:
    refused = api.call(path, method, b"{}", authorization=f"Bearer {client.secret}", if_match="*")
    assert (refused.status, code_of(refused)) == (403, "admin_required")
    for header in ("", "Bearer sk-cap-" + "a" * 52, "Bearer something"):
        refused = api.call(path, method, b"{}", authorization=header, if_match="*")
        assert (refused.status, code_of(refused)) == (401, "invalid_api_key")
    assert api.writer.written_by == []
    assert api.source.checked_in == []


@pytest.mark.parametrize(("path", "method"), EVERY)
def test_without_authentication_an_admin_key_is_needed_all_the_same(
    open_door: Door, stored: Stored, clock: FakeClock, path: str, method: str
) -> None:
    api = Api(open_door, stored, clock, "anything")
    assert api.call(path, method, b"{}", if_match="*").status == 401
    assert api.writer.written_by == []


@pytest.mark.parametrize(
    ("path", "allowed"), [(CONFIG, "GET, PUT, PATCH"), (CONFIG + "/", "GET, PUT, PATCH"), (PREVIEW, "POST")]
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_another_method_is_refused_with_those_allowed(api: Api, path: str, allowed: str, method: str) -> None:
    if method in allowed.split(", "):
        return
    reply = api.call(path, method)
    assert reply.headers is not None
    assert (reply.status, reply.headers["allow"]) == (405, allowed)


def test_no_cache_keeps_an_answer_or_an_error(api: Api) -> None:
    replies = [
        api.call(CONFIG), api.put({}), api.put(b"{"), api.put({}, None), api.preview({}), api.preview(b"{"),
        api.call(CONFIG, authorization=""), api.call(PREVIEW, "POST", authorization=""),
    ]  # fmt: skip
    for reply in replies:
        assert reply.headers is not None
        assert (reply.headers["cache-control"], reply.headers["content-type"]) == ("no-store", "application/json")
        assert reply.headers["x-request-id"].startswith("req_")


def test_a_gateway_without_a_file_has_none_of_it() -> None:
    for path, method in EVERY:
        reply = asyncio.run(ask(make_admin_router({}), path, method=method))
        assert (reply.status, code_of(reply)) == (404, "route_not_found")


# GET ------------------------------------------------------------------------------------------------------------------


def test_what_is_in_force_is_told_with_its_defaults(api: Api) -> None:
    api.source.content = b'{"$schema":"./x.json","models":{"fast":{"upstream":"gpt-5-mini"}}}'
    reply = api.call(CONFIG)
    assert reply.status == 200
    assert reply.json.keys() == {"config", "hash", "rejected", "path"}
    assert (reply.json["hash"], reply.json["rejected"]) == (hash_of(api.source.content), None)
    assert reply.json["path"] == "/data/config.json"
    config = reply.json["config"]
    assert (config["version"], config["$schema"], config["limits"]["max_body_mb"]) == (1, "./x.json", 64)
    assert config["models"]["fast"]["allowed_keys"] == ["*"]


def test_what_is_told_can_be_sent_back(api: Api) -> None:
    told = api.call(CONFIG).json
    assert api.put(told["config"], f'"{told["hash"]}"').status == 200


def test_a_file_that_cannot_be_used_is_told_beside_what_is_in_force(api: Api) -> None:
    api.source.rejected = "config.json: line 3: no"
    assert api.call(CONFIG).json["rejected"] == "config.json: line 3: no"


# PUT ------------------------------------------------------------------------------------------------------------------


def test_a_configuration_is_put_in_place_of_the_one_that_it_names(api: Api, admin: IssuedKey) -> None:
    content = b'{ "exposure": "listed" }\n'
    reply = api.put(content, f'"{hash_of(b"{}")}"')
    assert (reply.status, reply.json) == (200, {"hash": hash_of(content)})
    assert api.writer.content == content, "byte for byte"
    assert api.writer.written_by == [admin.key.id]


def test_a_change_is_on_record_with_where_it_came_from_and_the_id_of_its_answer(api: Api) -> None:
    reply = api.call(CONFIG, "PUT", b"{}", if_match="*", user_agent="ci/1.0 " + "x" * 300)
    assert reply.headers is not None
    (origin,) = api.writer.origins
    assert (origin.address, origin.request_id) == ("192.0.2.1", reply.headers["x-request-id"])
    assert origin.user_agent is not None
    assert origin.user_agent.startswith("ci/1.0 x")


def test_a_change_on_top_of_another_version_is_a_conflict(api: Api) -> None:
    reply = api.put({"exposure": "listed"}, f'"{hash_of(b"another")}"')
    assert reply.status == 409
    assert api.writer.content == b"{}"


def test_a_star_replaces_whatever_is_there(api: Api) -> None:
    api.writer.content = b"edited by hand"
    assert api.put({"exposure": "listed"}, "*").status == 200


@pytest.mark.parametrize(
    ("expected", "status"),
    [(None, 428), ("", 428), ("  ", 428), ("abc", 400), ('"', 400), ('"a', 400), ('"a", "b"', 400), ('W/"a"', 400)],
)
def test_a_change_says_what_it_is_based_on(api: Api, expected: str | None, status: int) -> None:
    reply = api.put({}, expected)
    assert (reply.status, code_of(reply)) == (status, "invalid_request")
    assert "GET gives" in reply.json["error"]["message"]
    assert api.writer.written_by == []


def test_an_empty_hash_is_of_no_file(api: Api) -> None:
    api.writer.content = b""
    assert api.put({}, '""').status == 409, "an empty file is a file"


@pytest.mark.parametrize("content", [b"", b"{", b'{"modles":{}}', b'{"version":2}', b"[]", b"\xff"])
def test_a_file_that_cannot_be_used_is_refused_and_not_written(api: Api, content: bytes) -> None:
    for reply in (api.put(content), api.preview(content)):
        assert (reply.status, code_of(reply)) == (422, "invalid_request")
        assert reply.headers is not None
        assert reply.headers["x-should-retry"] == "false"
    assert api.writer.content == b"{}"


def test_every_mistake_is_named(api: Api) -> None:
    message = api.put({"models": {"bad": {}}}).json["error"]["message"]
    assert "models.bad: no\nmodels.bad.upstream: no" in message
    assert "move the file away" not in message, "that is the way out for whoever starts the gateway"


def test_what_the_writer_finds_wrong_is_the_callers_to_mend_too(api: Api) -> None:
    """Between the check and the write the rules may be another process's."""
    api.writer.failure = ConfigInvalid("config.json: no")
    assert api.put({}).status == 422


def test_a_disk_that_takes_nothing_is_no_mistake_of_the_callers(api: Api) -> None:
    api.writer.failure = StorageUnavailable("config.json cannot be written, so nothing was changed")
    reply = api.put({})
    assert (reply.status, code_of(reply)) == (503, "storage_unavailable")


@pytest.mark.parametrize(("path", "method"), EVERY[1:])
def test_a_body_is_bounded(api: Api, path: str, method: str) -> None:
    largest = b"{" + b" " * (MAX_CONFIG_BYTES - 2) + b"}"
    assert api.call(path, method, largest, if_match="*").status == 200
    refused = api.call(path, method, largest + b" ", if_match="*")
    assert (refused.status, code_of(refused)) == (413, "request_too_large")
    assert "max_body_mb" not in refused.json["error"]["message"], "raising that would not help"
    assert api.call(path, method, b"{}", if_match="*", content_length=str(10**9)).status == 413


def test_what_takes_time_keeps_no_call_waiting(api: Api) -> None:
    """Checking, writing and asking the ledger are work for a thread."""
    api.put({})
    assert threading.main_thread() not in [*api.source.checked_in, *api.writer.written_in]


# POST preview ---------------------------------------------------------------------------------------------------------


def use(stored: Stored, clock: FakeClock, key_id: str, model: str = "gpt-4.1") -> None:
    stored.usage.add_events(
        [
            UsageEvent(
                request_id="req_1", at=clock.now().isoformat(), key_id=key_id, identity_id="default", endpoint="/v1/messages",
                model=model, upstream_model=model, cause=Cause.OK, status=200, input_tokens=10,
            )
        ]
    )  # fmt: skip
    clock.advance(1)


def test_a_preview_is_of_the_last_week_and_changes_nothing(
    api: Api, stored: Stored, clock: FakeClock, client: IssuedKey
) -> None:
    use(stored, clock, client.key.id)
    reply = api.preview({"exposure": "listed", "models": {"fast": {"upstream": "gpt-4.1"}}})
    assert reply.status == 200
    assert (reply.json["since"], reply.json["until"]) == ("2026-06-24T12:00:01+00:00", "2026-07-01T12:00:01+00:00")
    (row,) = reply.json["rows"]
    assert (row["key_id"], row["label"], row["effect"]) == (client.key.id, "client", "fails")
    assert row["after"] == {"model": None, "error": "model_not_found"}
    assert reply.json["total"]["fails"] == 1
    assert (api.writer.written_by, api.writer.content) == ([], b"{}")


def test_a_preview_is_held_against_what_is_in_force(
    api: Api, stored: Stored, clock: FakeClock, client: IssuedKey
) -> None:
    api.source.content = b'{"models":{"gpt-4.1":{"upstream":"gpt-5-mini"}}}'
    use(stored, clock, client.key.id)
    (row,) = api.preview({}).json["rows"]
    assert (row["before"]["model"], row["after"]["model"]) == ("gpt-5-mini", "gpt-4.1")


def test_without_a_catalog_there_is_no_preview_yet(api: Api) -> None:
    api.catalog = None
    reply = api.preview({})
    assert (reply.status, code_of(reply)) == (503, "catalog_unavailable")
    assert reply.headers is not None
    assert reply.headers["retry-after"] == "2"


# Single fields, versions, and a verdict -----------------------------------------------------------------------------


def test_single_fields_are_changed_and_all_else_stays_as_it_is_written(api: Api) -> None:
    api.writer.content = api.source.content = b'{\n  "version": 1,\n  "limits": {"max_body_mb": 5}\n}\n'
    change = {"set": {"limits.max_body_mb": 7, "models.fast.upstream": "gpt-5-mini"}, "unset": ["version"]}
    reply = api.call(CONFIG, "PATCH", json.dumps(change).encode(), if_match="*")
    assert reply.status == 200
    assert json.loads(api.writer.content) == {
        "limits": {"max_body_mb": 7},
        "models": {"fast": {"upstream": "gpt-5-mini"}},
    }
    assert reply.json == {
        "hash": hash_of(api.writer.content),
        "changed": ["version", "limits.max_body_mb", "models.fast.upstream"],
    }
    assert api.writer.origins[-1].request_id == (reply.headers or {})["x-request-id"]


def test_a_change_that_changes_nothing_writes_nothing(api: Api) -> None:
    api.writer.content = b'{"limits": {"max_body_mb": 5}}'
    reply = api.call(CONFIG, "PATCH", b'{"set": {"limits.max_body_mb": 5}}', if_match="*")
    assert reply.json == {"hash": hash_of(api.writer.content), "changed": []}
    assert api.writer.written_by == []


@pytest.mark.parametrize(
    ("body", "match", "status"),
    [
        ({"set": {"limits.nothing": 5}}, "*", 400),
        ({"unset": ["nothing"]}, "*", 400),
        ({"sets": {}}, "*", 400),
        ({"set": {"limits.max_body_mb": "large"}}, "*", 422),
        ({"set": {"models.bad.upstream": "x"}}, "*", 422),
        ({"set": {}}, '"0000"', 409),
        ({"set": {}}, None, 428),
    ],
)
def test_a_change_that_cannot_be_leaves_the_file(api: Api, body: Any, match: str | None, status: int) -> None:
    headers = {} if match is None else {"if_match": match}
    assert api.call(CONFIG, "PATCH", json.dumps(body).encode(), **headers).status == status
    assert (api.writer.content, api.writer.written_by) == (b"{}", [])


def test_a_file_that_is_none_cannot_be_changed_by_a_field(api: Api) -> None:
    api.writer.content = b"{"
    assert api.call(CONFIG, "PATCH", b'{"set": {"version": 1}}', if_match="*").status == 422


def test_versions_say_what_replaced_them_changed(api: Api) -> None:
    api.writer.content = b'{"version": 1, "exposure": "listed"}'
    api.writer.versions = {"b": b'{"version": 1}', "a": b"{}"}
    versions = api.call(f"{CONFIG}/history").json["versions"]
    assert [(version["id"], version["changed"]) for version in versions] == [("b", ["exposure"]), ("a", ["version"])]
    shown = api.call(f"{CONFIG}/history/b").json
    assert shown == {"id": "b", "hash": hash_of(b'{"version": 1}'), "content": '{"version": 1}'}
    assert code_of(api.call(f"{CONFIG}/history/c")) == "config_version_not_found"


def test_a_version_is_put_back_as_a_change_of_its_own(api: Api) -> None:
    api.writer.content, api.writer.versions = b'{"exposure": "listed"}', {"a": b"{}", "b": b'{"models": {"bad": {}}}'}
    assert api.call(f"{CONFIG}/rollback", "POST", b'{"version": "b"}').status == 422
    assert api.call(f"{CONFIG}/rollback", "POST", b'{"version": "x"}').status == 404
    reply = api.call(f"{CONFIG}/rollback", "POST", b'{"version": "a"}')
    assert (reply.json, api.writer.content) == ({"hash": hash_of(b"{}"), "changed": ["exposure"]}, b"{}")
    assert api.writer.details == [{"rollback": "a"}]


@pytest.mark.parametrize(
    ("content", "paths", "problem"),
    [(b"{}", [], None), (b'{"verson": 1}', ["$.verson"], None), (b"{", [""], None), (b'{"models":{"bad":{}}}', [], "no")],
)  # fmt: skip
def test_a_file_is_judged_without_being_used(api: Api, content: bytes, paths: list[str], problem: str | None) -> None:
    reply = api.call(f"{CONFIG}/validate", "POST", content)
    verdict = reply.json
    assert (reply.status, verdict["valid"]) == (200, not paths and problem is None)
    assert [mistake["path"] for mistake in verdict["mistakes"]] == paths
    assert (problem or "") in (verdict["problem"] or "")
    assert api.writer.written_by == []


def test_the_schema_is_the_one_that_editors_get(api: Api) -> None:
    assert api.call(f"{CONFIG}/schema").json == json.loads(json.dumps(json_schema()))
