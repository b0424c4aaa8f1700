"""The doors of the admin pages, tried from outside: a real gateway, real sockets, nothing of its insides."""

import concurrent.futures
import http.client
import json
import re
import socket
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.harness import GatewayProcess, Simulator, http_json, wait_until

FORM = "application/x-www-form-urlencoded"
HARDENED = {
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_addresses = iter(f"127.0.{high}.{low}" for high in range(2, 250) for low in range(1, 250))


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: str

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]

    def header(self, name: str) -> str:
        return ", ".join(self.all(name))

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.body)
        return found[1] if found else ""


@dataclass
class Visitor:
    """A client on an address of its own, with a jar for the cookie."""

    url: str
    address: str = field(default_factory=lambda: next(_addresses))
    cookie: str = ""

    def ask(self, method: str, target: str, form: Any = None, **headers: str) -> Reply:
        parts = urlsplit(self.url)
        body = urlencode(form) if isinstance(form, dict) else form
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given = {"content-type": FORM, **given}
        if self.cookie:
            given["cookie"] = f"capi_session={self.cookie}"
        connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=30, source_address=(self.address, 0)
        )
        with closing(connection):
            connection.request(method, target, body, given)
            response = connection.getresponse()
            reply = Reply(response.status, response.getheaders(), response.read().decode())
        for value in reply.all("set-cookie"):
            if found := re.match(r"capi_session=([^;]*)", value):
                self.cookie = found[1]
        return reply

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask("GET", target, **headers)

    def sign_in(self, key: str, **more: str) -> Reply:
        return self.ask("POST", "/admin/login", {"key": key, **more})

    def token(self) -> str:
        """A token of this session, from a page that everybody has who is signed in."""
        return self.get("/admin/step-up").csrf


@pytest.fixture
def visitor(gateway: GatewayProcess) -> Visitor:
    return Visitor(gateway.url)


@pytest.fixture
def admin(gateway: GatewayProcess, admin_key: str) -> Visitor:
    signed_in = Visitor(gateway.url)
    assert signed_in.sign_in(admin_key).status == 303
    return signed_in


@pytest.fixture
def client(gateway: GatewayProcess, client_key: str) -> Visitor:
    signed_in = Visitor(gateway.url)
    assert signed_in.sign_in(client_key).status == 303
    return signed_in


@pytest.fixture(scope="module")
def own(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of these tests' own, behind a proxy on this machine that it trusts."""
    with GatewayProcess(tmp_path_factory.mktemp("own"), simulator.url, "--trust-proxy", "127.0.1.0/24") as running:
        yield running


def api(visitor: Visitor, method: str = "GET", path: str = "/admin/api/sessions", **headers: str) -> Reply:
    return visitor.ask(method, path, **headers)


def actions(gateway: GatewayProcess) -> list[str]:
    return [json.loads(line)["action"] for line in (gateway.home / "audit.jsonl").read_text().splitlines()]


# In and out ------------------------------------------------------------------------------------------------------


def test_a_person_signs_in_looks_around_and_signs_out(visitor: Visitor, admin_key: str) -> None:
    first = visitor.get("/admin")
    assert (first.status, first.header("location")) == (303, "/admin/login")
    form = visitor.get("/admin/login")
    assert (form.status, "API key" in form.body) == (200, True)
    signed_in = visitor.sign_in(admin_key)
    assert (signed_in.status, signed_in.header("location")) == (303, "/admin")
    assert re.fullmatch(
        r"capi_session=[A-Za-z0-9_-]{43}; Path=/admin; HttpOnly; SameSite=Strict", signed_in.header("set-cookie")
    )
    assert api(visitor).status == 200
    cookie = visitor.cookie
    assert visitor.ask("POST", "/admin/logout", {"csrf": visitor.token()}).status == 303
    visitor.cookie = cookie
    assert api(visitor).status == 401
    assert visitor.get("/admin/step-up").status == 303


def test_all_that_pages_load_is_there(visitor: Visitor) -> None:
    page = visitor.get("/admin/login").body
    files = re.findall(r'(?:href|src)="(/admin/static/[^"#]+)', page)
    assert files
    for url in files:
        reply = visitor.get(url)
        assert (reply.status, "immutable" in reply.header("cache-control")) == (200, True), url
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page), "nothing that the policy forbids"


# Cross-site ------------------------------------------------------------------------------------------------------

FOREIGN = [
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site", "origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_other_site_signs_anybody_in(visitor: Visitor, admin_key: str, headers: dict[str, str]) -> None:
    reply = visitor.ask("POST", "/admin/login", {"key": admin_key}, **headers)
    assert (reply.status, visitor.cookie) == (403, "")


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_other_site_does_anything(admin: Visitor, headers: dict[str, str]) -> None:
    token = admin.token()
    assert admin.ask("POST", "/admin/logout", {"csrf": token}, **headers).status == 403
    assert admin.ask("DELETE", "/admin/api/sessions/x", x_csrf_token=token, **headers).status == 403
    assert api(admin).status == 200, "still signed in"


def test_our_own_pages_do(visitor: Visitor, gateway: GatewayProcess, admin_key: str) -> None:
    """As browsers send it: a page without a referrer has its forms come from the origin `null`."""
    headers = {"sec_fetch_site": "same-origin", "origin": "null", "sec_fetch_mode": "navigate"}
    assert visitor.ask("POST", "/admin/login", {"key": admin_key}, **headers).status == 303
    headers["origin"] = gateway.url
    assert visitor.ask("POST", "/admin/logout", {"csrf": visitor.token()}, **headers).status == 303


def test_a_forged_missing_or_foreign_token_does_nothing(admin: Visitor, client: Visitor) -> None:
    for token in ("", "x", "A" * 88, client.token(), admin.token()[:-4] + "AAAA", admin.token() + "A"):
        assert admin.ask("POST", "/admin/logout", {"csrf": token}).status == 403, token
        assert admin.ask("DELETE", "/admin/api/sessions/x", x_csrf_token=token).status == 403, token
    assert admin.ask("POST", "/admin/logout", {}).status == 403
    assert admin.ask("DELETE", "/admin/api/sessions/x").status == 403
    assert admin.ask("DELETE", "/admin/api/sessions/x", x_csrf_token=admin.token()).status == 404


def test_a_token_of_a_session_that_ended_is_worth_nothing(admin: Visitor, admin_key: str) -> None:
    old_token, old_cookie = admin.token(), admin.cookie
    assert admin.ask("POST", "/admin/logout", {"csrf": old_token}).status == 303
    assert admin.sign_in(admin_key).status == 303
    assert admin.ask("POST", "/admin/logout", {"csrf": old_token}).status == 403, "with the new session"
    admin.cookie = old_cookie
    assert admin.ask("POST", "/admin/logout", {"csrf": old_token}).status == 401, "with its own"
    assert admin.ask("DELETE", "/admin/api/sessions/x", x_csrf_token=old_token).status == 401


# Keys and sessions -----------------------------------------------------------------------------------------------


def test_a_planted_session_is_never_taken_up(visitor: Visitor, client: Visitor, admin_key: str) -> None:
    visitor.cookie = planted = client.cookie
    assert visitor.sign_in(admin_key).status == 303
    assert visitor.cookie != planted
    assert api(client).status == 401, "what was planted is over"


@pytest.mark.parametrize("command", [("keys", "revoke"), ("keys", "rotate")])
def test_a_key_that_ends_takes_its_sessions_along(gateway: GatewayProcess, command: tuple[str, ...]) -> None:
    created = json.loads(gateway.cli("keys", "create", "--label", "gone", "--tier", "admin", "--json"))
    visitor = Visitor(gateway.url)
    assert visitor.sign_in(created["key"]).status == 303
    assert api(visitor).status == 200
    gateway.cli(*command, created["id"])
    assert api(visitor).status == 401, "at once"
    assert visitor.get("/admin/step-up").status == 303
    assert visitor.sign_in(created["key"]).status == 401


def test_an_expired_key_ends_its_session(gateway: GatewayProcess) -> None:
    visitor = Visitor(gateway.url)
    assert visitor.sign_in(gateway.create_key("short", "--tier", "admin", "--expires", "4s")).status == 303
    assert api(visitor).status == 200
    wait_until(lambda: api(visitor).status == 401, 10, "the session ends with the key")


def test_a_client_key_is_refused_on_everything_that_is_for_admins(client: Visitor) -> None:
    document = http_json("GET", f"{client.url}/")[1]
    token = client.token()
    tried = 0
    for line in document["endpoints"]:
        method, path = line.split(" ")
        path = path.replace("{id}", "x").replace("{date}", "2026-07-01")
        if path.startswith("/admin/"):
            body = "{}" if method in {"POST", "PUT", "PATCH"} else None
            reply = client.ask(method, path, body, x_csrf_token=token, content_type="application/json")
            assert (reply.status, "admin_required" in reply.body or "step_up" in reply.body) == (403, True), line
            tried += 1
    assert tried >= 10
    assert client.get("/admin").header("location") in {"/admin/my-usage", ""}
    assert client.get("/admin/step-up").status == 200


def test_a_session_counts_nowhere_else(admin: Visitor) -> None:
    for method, path in [("GET", "/usage"), ("GET", "/token"), ("GET", "/v1/models"), ("POST", "/v1/chat/completions")]:
        assert admin.ask(method, path, "{}" if method == "POST" else None).status == 401, path


def test_of_two_sessions_in_one_request_neither_counts(admin: Visitor, client: Visitor) -> None:
    both = f"capi_session={client.cookie}; capi_session={admin.cookie}"
    nobody = Visitor(admin.url)
    assert nobody.get("/admin/api/sessions", cookie=both).status == 401


def test_many_sign_in_at_once(gateway: GatewayProcess, admin_key: str) -> None:
    visitors = [Visitor(gateway.url) for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda each: each.sign_in(admin_key).status, visitors))
    assert statuses == [303] * 16
    assert len({each.cookie for each in visitors}) == 16
    assert all(api(each).status == 200 for each in visitors)


# Wrong keys ------------------------------------------------------------------------------------------------------


def bad_keys(gateway: GatewayProcess) -> dict[str, str]:
    revoked = json.loads(gateway.cli("keys", "create", "--label", "revoked", "--json"))
    gateway.cli("keys", "revoke", revoked["id"])
    elsewhere = gateway.create_key("elsewhere", "--cidr", "192.0.2.0/24")
    expired = gateway.create_key("expired", "--expires", "1s")
    time.sleep(1.1)
    unknown, other = "sk-cap-" + "a" * 52, "sk-ant-" + "b" * 52
    return {
        "revoked": revoked["key"], "elsewhere": elsewhere, "expired": expired, "unknown": unknown, "other": other, "empty": "", "long": "x" * 4000,
    }  # fmt: skip


def test_a_wrong_key_gets_the_same_answer_whatever_is_wrong_with_it(gateway: GatewayProcess) -> None:
    keys = bad_keys(gateway)
    answers: set[str] = set()
    seconds: dict[str, list[float]] = {name: [] for name in keys}
    for _ in range(3):
        for name, secret in keys.items():
            visitor = Visitor(gateway.url)
            began = time.perf_counter()
            reply = visitor.sign_in(secret)
            seconds[name].append(time.perf_counter() - began)
            headers = [each for each in reply.headers if each[0].lower() not in {"x-request-id", "date"}]
            answers.add(repr((reply.status, headers, reply.body)))
            assert (reply.status, visitor.cookie) == (401, "")
    assert len(answers) == 1
    medians = [statistics.median(each) for each in seconds.values()]
    assert max(medians) < 20 * min(medians) + 0.05, "comparable work; both write their line of the audit log"


def test_whoever_is_wrong_too_often_waits_and_nobody_else(gateway: GatewayProcess, admin_key: str) -> None:
    mallory = Visitor(gateway.url)
    statuses = [mallory.sign_in(f"sk-cap-{number:052d}").status for number in range(10)]
    assert statuses == [401] * 10
    for key in (admin_key, "x"):
        reply = mallory.sign_in(key)
        assert (reply.status, 1 <= int(reply.header("retry-after")) <= 30, mallory.cookie) == (429, True, "")
    forged = mallory.ask("POST", "/admin/login", {"key": admin_key}, x_forwarded_for="127.9.9.9")
    assert forged.status == 429, "an address that one writes oneself is not believed"
    assert Visitor(gateway.url).sign_in(admin_key).status == 303
    assert actions(gateway).count("login.failed") >= 10


def test_one_key_is_tried_so_often_from_wherever(gateway: GatewayProcess) -> None:
    secret = "sk-cap-" + "c" * 52
    statuses = [Visitor(gateway.url).sign_in(secret).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


# Where one is sent, and what a header may hold -------------------------------------------------------------------


@pytest.mark.parametrize(
    "wish",
    [
        "//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "%2F%2Fevil.example", "/%2Fevil.example", "\\\\evil.example",
        "/admin/../..//evil.example", "/admin/%2e%2e/%2e%2e//evil.example", "/admin\r\nset-cookie: a=b", "/admin%0d%0aset-cookie:a=b", "javascript:alert(1)",
        "/adminevil", "/admin@evil.example", "///evil.example", "/admin/login?next=//evil.example", " //evil.example", "\t//evil.example", "/admin\x00",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(visitor: Visitor, client_key: str, wish: str) -> None:
    form = visitor.get(f"/admin/login?{urlencode({'next': wish})}")
    assert form.status in {200, 400}
    assert "evil.example" not in form.body
    reply = visitor.sign_in(client_key, next=wish)
    assert (reply.status, reply.header("location")) == ((400, "") if "\0" in wish else (303, "/admin"))
    assert all("a=b" not in value for _, value in reply.headers)


def test_a_label_breaks_no_page_and_no_header(gateway: GatewayProcess) -> None:
    label = "\"><script>alert(1)</script>' onload=x"
    visitor = Visitor(gateway.url)
    assert visitor.sign_in(gateway.create_key(label)).status == 303
    page = visitor.get("/admin/step-up").body
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_line_end_in_a_target_is_the_end_of_it(gateway: GatewayProcess) -> None:
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"GET /admin/login?next=/admin\r\nset-cookie: a=b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert b"set-cookie" not in connection.recv(4096)


# What goes out ---------------------------------------------------------------------------------------------------


def test_every_answer_is_kept_from_frames_and_caches(visitor: Visitor, admin: Visitor, client: Visitor) -> None:
    asked = [
        (visitor, "GET", "/admin", None), (visitor, "GET", "/admin/login", None), (visitor, "POST", "/admin/login", "key=x"), (visitor, "POST", "/admin/login", "%"),
        (visitor, "PUT", "/admin/login", None), (admin, "GET", "/admin/no-such-page", None), (admin, "DELETE", "/admin/login", None), (admin, "POST", "/admin/logout", ""),
        (client, "GET", "/admin/api/sessions", None), (admin, "GET", "/admin/api/sessions", None), (visitor, "GET", "/admin/api/config", None),
        (visitor, "GET", "/admin/api/no", None), (visitor, "OPTIONS", "/admin/api/sessions", None), (visitor, "GET", "/admin/traces/2026-07-01.jsonl", None),
        (visitor, "GET", "/admin/..%2f..%2fetc/passwd", None), (admin, "GET", "/admin/api/traces", None), (visitor, "POST", "/admin/login", "x" * 20_000),
    ]  # fmt: skip
    for who, method, path, body in asked:
        reply = who.ask(method, path, body, origin=who.url)
        for name, value in HARDENED.items():
            assert reply.all(name) == [value], (method, path, name)
        (policy,) = reply.all("content-security-policy")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not [name for name, _ in reply.headers if name.lower().startswith("access-control")], (method, path)


def test_what_is_no_form_is_refused_and_breaks_nothing(visitor: Visitor) -> None:
    for body, media_type, status in [
        ("key=%", FORM, 400), ("key=%zz", FORM, 400), ("key=a&key=b", FORM, 400), ("key=%ff", FORM, 400), ("{}", "application/json", 415), ("", "", 415),
        ("--x--", "multipart/form-data; boundary=x", 415), ("a=b&" * 600, FORM, 400), ("key=" + "x" * 9000, FORM, 413), ("key=%00", FORM, 400),
    ]:  # fmt: skip
        reply = visitor.ask("POST", "/admin/login", body, content_type=media_type)
        assert reply.status == status, (body[:20], media_type)
    reply = visitor.ask("POST", "/admin/login", "key=x", content_encoding="gzip")
    assert reply.status == 415


# The way here ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "gateway.local:4141", "127.0.0.1.evil.example"])
def test_a_name_that_was_made_to_lead_here_is_refused(visitor: Visitor, admin_key: str, host: str) -> None:
    """DNS rebinding: the browser takes us for the other site's own server."""
    reply = visitor.ask("POST", "/admin/login", {"key": admin_key}, host=host)
    assert (reply.status, "https_required" in reply.body) == (403, True)
    assert "--tls-cert" in reply.body


def test_plain_http_through_a_proxy_is_refused_and_tls_is_not(own: GatewayProcess) -> None:
    secret = (own.home / "admin.key.txt").read_text().strip()
    proxy = Visitor(own.url, address="127.0.1.1")
    came = {"host": "gw.example", "x_forwarded_for": "203.0.113.5"}
    plain = proxy.ask("POST", "/admin/login", {"key": secret}, **came, x_forwarded_proto="http")
    assert (plain.status, proxy.cookie, "ssh -L" in plain.body) == (403, "", True)
    came |= {"x_forwarded_proto": "https", "origin": "https://gw.example"}
    reply = proxy.ask("POST", "/admin/login", {"key": secret}, **came)
    assert reply.status == 303
    assert reply.header("set-cookie").endswith("; HttpOnly; SameSite=Strict; Secure")
    assert reply.header("strict-transport-security")
    (session,) = [each for each in json.loads(proxy.get("/admin/api/sessions", **came).body)["sessions"] if each["is_current"]]  # fmt: skip
    assert session["address"] == "203.0.113.5"
    stranger = Visitor(own.url, cookie=proxy.cookie)
    assert stranger.get("/admin/api/sessions", **came).status == 403, "what a stranger says of it is not believed"


def find_address() -> str | None:
    """An address of this machine that others reach it by."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_plain_http_from_another_machine_is_refused_with_the_way_out(simulator: Simulator, tmp_path: Path) -> None:
    address = find_address()
    if address is None:
        pytest.skip("this machine has only its loopback address")
    with GatewayProcess(tmp_path / "home", simulator.url, "--host", "0.0.0.0") as running:
        secret = (running.home / "admin.key.txt").read_text().strip()
        far = Visitor(f"http://{address}:{urlsplit(running.url).port}", address=address)
        for method, path, form in [("GET", "/admin", None), ("GET", "/admin/login", None), ("POST", "/admin/login", {"key": secret})]:  # fmt: skip
            reply = far.ask(method, path, form)
            assert (reply.status, far.cookie) == (403, "")
            assert "https_required" in reply.body
            assert "ssh -L" in reply.body
        for url in re.findall(r'href="(/admin/static/[^"#]+\.css)', reply.body):
            assert far.get(url).status == 200, "the page that says so is readable"
        assert far.get("/admin/api/sessions", authorization=f"Bearer {secret}").status == 200


# When things break -----------------------------------------------------------------------------------------------


def test_a_locked_database_lets_nobody_in_and_says_so(own: GatewayProcess) -> None:
    secret = (own.home / "admin.key.txt").read_text().strip()
    inside, outside = Visitor(own.url), Visitor(own.url)
    assert inside.sign_in(secret).status == 303
    with closing(sqlite3.connect(own.home / "copilot-api.db")) as holder:
        holder.execute("BEGIN IMMEDIATE")
        reply = outside.sign_in(secret)
        assert (reply.status, outside.cookie) == (503, "")
        assert "storage_unavailable" in reply.body
        assert api(inside).status == 200, "who is in stays in"
        holder.rollback()
    assert outside.sign_in(secret).status == 303


def test_the_pages_are_switched_off_and_on_while_it_runs(own: GatewayProcess) -> None:
    secret = (own.home / "admin.key.txt").read_text().strip()
    visitor = Visitor(own.url)
    assert visitor.sign_in(secret).status == 303
    own.cli("config", "set", "features.webui", "false")
    wait_until(lambda: visitor.get("/admin/login").status == 404, 5, "the pages are gone")
    assert api(visitor).status == 401, "and no session counts"
    assert api(visitor, authorization=f"Bearer {secret}").status == 200
    own.cli("config", "set", "features.webui", "true")
    wait_until(lambda: api(visitor).status == 200, 5, "the pages are back")


def test_sessions_outlive_a_restart(simulator: Simulator, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with GatewayProcess(home, simulator.url) as running:
        visitor = Visitor(running.url)
        assert visitor.sign_in((home / "admin.key.txt").read_text().strip()).status == 303
    with GatewayProcess(home, simulator.url) as running:
        visitor.url = running.url
        assert api(visitor).status == 200
