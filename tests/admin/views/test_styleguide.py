"""The style page."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import pytest

from copilot_api.admin.answers import Page
from copilot_api.admin.assets import Assets
from copilot_api.admin.forms import Fields, parse_query
from copilot_api.admin.shell import Shell
from copilot_api.admin.templating import Templates
from copilot_api.admin.views.styleguide import StyleguideView
from copilot_api.errors import BadRequest
from tests.admin.test_assets import PACKAGE
from tests.fakes import FakeClock

ASSETS = Assets()


def show(query: Fields) -> tuple[Page, Any]:
    request: Any = SimpleNamespace(
        now=FakeClock().now(), path="/admin/_styleguide", query=query, csrf="token", is_admin=True, signed_in=None
    )
    answer = asyncio.run(StyleguideView(ASSETS).show(request))
    assert isinstance(answer, Page)
    return answer, request


def render(query: bytes = b"") -> str:
    page, request = show(parse_query(query))
    return Templates(ASSETS).render(page.template, {"request": request, "shell": Shell(is_demo=True), **page.data})


def test_every_component_is_shown() -> None:
    macros = set(
        re.findall(r"{% set (\w+) = \w+\.\w+ %}", (PACKAGE / "templates" / "_partials" / "ui.html").read_text())
    )
    text = "".join((PACKAGE / "templates" / name).read_text() for name in ("styleguide.html", "base.html"))
    text += "".join(
        path.read_text() for path in (PACKAGE / "templates" / "_partials").glob("*.html") if path.name != "ui.html"
    )
    shown = {name for name in macros if re.search(rf"\b{name}\(", re.sub(rf"{{% macro {name}\(", "", text))}
    assert macros - shown <= {"csrf_field", "who"}, "of no use without a session or a key"


def test_hostile_labels_are_shown_as_text() -> None:
    shown = render()
    assert '<script>alert("label")' not in shown
    assert "&lt;script&gt;alert(&#34;label&#34;)" in shown


def test_its_url_works_as_on_other_pages() -> None:
    assert 'aria-sort="descending"' in render(b"sort=-tokens")
    page, _ = show(parse_query(b"sort=-tokens&range=7d&toast=good"))
    rows: Any = page.data["rows"]
    assert [row.tokens for row in rows][:2] == [131_072, 48_213]
    assert page.data["toasts"] == ["good"]
    with pytest.raises(BadRequest):
        show(parse_query(b"range=for-ever"))


def test_a_query_is_taken_apart_and_each_part_can_be_taken_off() -> None:
    page, _ = show(parse_query(b"q=key:ci+status:500"))
    terms: Any = page.data["terms"]
    assert [(term.text, term.href) for term in terms] == [
        ("key:ci", "/admin/_styleguide?q=status%3A500"),
        ("status:500", "/admin/_styleguide?q=key%3Aci"),
    ]
