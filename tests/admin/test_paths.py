"""Which path is which page, and where nobody is sent on to."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.paths import LOGIN, ROOT, Pattern, asking, safe_next, split_path

FOREIGN = [
    "", "/", "//evil.example", "//evil.example/admin", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example",
    "https:/admin", "javascript:alert(1)", "data:text/html,x", "/admin//evil.example", "/admin/..//evil.example", "/admin/%2e%2e//x",
    "/admin/..", "/admin/../token", "/admin/%2e%2e/token", "/admin/.%2E/token", "/admin/./x", "/admin\\evil", "/admin/%5cevil", "/admin/\\x",
    "/administrator", "/admin@evil.example", "/admin.evil.example", "admin", " /admin", "/admin ", "/admin\r\nset-cookie: x=y", "/admin/%0d%0a x",
    "/admin?next=é", "/admin/é", "/admin#x", "/admin/x\x00", "/admin\t/x", "/admin/%zz", "/token", "http:///admin", "///admin", "/admin?a b",
    "/admin/login", "/admin/login/", "/admin/login?next=/admin", "/admin/%6cogin", "/admin/logout", "/admin/step-up", "/admin/" + "x" * 2048,
]  # fmt: skip
OWN = [
    "/admin",
    "/admin/",
    "/admin/keys",
    "/admin/keys/key_a",
    "/admin/usage?since=7d&by=key",
    "/admin/x?next=//y",
    "/admin/a%20b",
    "/admin?q=a%0ab",
]


@pytest.mark.parametrize("wish", FOREIGN)
def test_nobody_is_sent_elsewhere(wish: str) -> None:
    assert safe_next(wish) == ROOT


@pytest.mark.parametrize("wish", OWN)
def test_whoever_signed_in_gets_where_they_wanted(wish: str) -> None:
    assert safe_next(wish) == wish


@given(st.text())
def test_wherever_one_is_sent_is_a_page_of_ours(wish: str) -> None:
    url = urlsplit(safe_next(wish))
    assert (url.scheme, url.netloc) == ("", "")
    assert url.path == ROOT or url.path.startswith(f"{ROOT}/")


@given(st.text(alphabet="/\\.%2e5cadmin?:@#\r\n", max_size=30))
def test_no_trick_of_slashes_dots_and_escapes_leads_out(tail: str) -> None:
    place = safe_next(f"/admin{tail}")
    assert "\\" not in place
    assert not set(place) & {"\r", "\n"}
    assert "//" not in place.partition("?")[0]


def test_the_page_to_sign_in_knows_where_it_leads() -> None:
    assert asking(LOGIN, "/admin/usage?by=key&a=b c") == LOGIN
    assert asking(LOGIN, "/admin/usage?by=key&a=b") == "/admin/login?next=%2Fadmin%2Fusage%3Fby%3Dkey%26a%3Db"
    assert asking(LOGIN, "//evil.example") == LOGIN
    assert asking(LOGIN, "/admin") == LOGIN


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/admin", ()), (b"/admin/", ()), (b"/admin/keys", ("keys",)), (b"/admin/keys/", ("keys",)), (b"/admin/keys/a%2Bb", ("keys", "a+b")),
        (b"/admin/%C3%A9", ("é",)), (b"/admin/a%2525", ("a%25",)), (b"/admin/a+b", ("a+b",)),
    ],
)  # fmt: skip
def test_a_path_is_decoded_once(raw: bytes, segments: tuple[str, ...]) -> None:
    assert split_path(raw) == segments


@pytest.mark.parametrize(
    "raw",
    [
        b"/admin//", b"/admin//keys", b"/admin/keys//x", b"/admin/.", b"/admin/..", b"/admin/%2e%2e", b"/admin/a%2Fb", b"/admin/a%5cb",
        b"/admin/%00", b"/admin/a%0Ab", b"/admin/%FF", b"/%61dmin/keys", b"/adminkeys", b"/x/admin", b"",
    ],
)  # fmt: skip
def test_what_no_page_has_in_its_path_is_none(raw: bytes) -> None:
    assert split_path(raw) is None


def test_a_pattern_takes_whole_segments() -> None:
    pattern = Pattern("/admin/keys/{id}/rotate")
    assert pattern.match(("keys", "key_a", "rotate")) == {"id": "key_a"}
    assert pattern.match(("keys", "key_a")) is None
    assert pattern.match(("keys", "key_a", "rotate", "x")) is None
    assert pattern.match(("keys", "key_a", "revoke")) is None
    assert Pattern("/admin").match(()) == {}
    assert Pattern("/admin").match(("x",)) is None


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1))
def test_an_id_comes_out_as_it_was_escaped(name: str) -> None:
    segments = split_path(f"/admin/keys/{quote(name, safe='')}".encode())
    assert segments == (None if name in {".", ".."} else ("keys", name))
