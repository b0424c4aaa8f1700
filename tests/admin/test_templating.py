"""Templates: escaped, strict, had whole or in parts; and the rules that every template keeps."""

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from copilot_api.admin.assets import Assets
from copilot_api.admin.templating import Templates
from tests.admin.test_assets import PACKAGE
from tests.fakes import FakeClock

NOW = FakeClock().now()
REQUEST = SimpleNamespace(now=NOW, path="/admin/x", query=(), csrf="token", is_admin=True, signed_in=None)
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))


def make(**templates: str) -> Templates:
    own = jinja2.DictLoader({f"{name}.html": text for name, text in templates.items()})
    return Templates(Assets(), jinja2.ChoiceLoader([own, jinja2.PackageLoader("copilot_api.admin")]))


def render(text: str, **values: Any) -> str:
    return make(page=text).render("page.html", {"request": REQUEST, **values})


def test_whatever_comes_from_outside_is_escaped() -> None:
    hostile = "<script>'\"&"
    for text in ("{{ x }}", '<a title="{{ x }}">', "{{ ui.badge(x) }}", "{{ ui.field('a', x, value=x) }}", "{{ ui.detail(x, x, copy=x) }}", "{{ ui.code_block('a', x, label=x) }}"):  # fmt: skip
        shown = render(text, x=hostile)
        assert "<script>" not in shown
        assert "&lt;script&gt;&#39;&#34;&amp;" in shown


def test_what_is_undefined_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError):
        render("{% if request.nothing %}{% endif %}")


def test_a_static_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("{{ asset('nothing.css') }}")


def test_filters_show_numbers_and_times() -> None:
    assert render("{{ 1234567|figure }}") == '<span title="1,234,567">1.23\u202fM</span>'
    assert render("{{ 12|figure }} {{ none|figure }}") == "12 \u2013"
    assert render("{{ 0.43|figure('seconds') }}") == '<span title="0.43">430 ms</span>'
    assert ">3 min ago</time>" in render("{{ x|when }}", x=NOW - timedelta(minutes=3))
    assert render('<i{{ {"a": true, "b": none, "c": false, "d": "<", "e": 0}|attributes }}>') == '<i a d="&lt;" e="0">'


PAGE = """
{% extends "base.html" %}{% set title = "T" %}{% set at = "keys" %}
{% block content %}<p>all</p><div data-fragment="one">{% block one %}<i>{{ x }}</i>{% endblock %}</div>
{% block two %}<b>2</b>{% endblock %}{% endblock %}
"""
VALUES: dict[str, object] = {
    "request": REQUEST,
    "shell": SimpleNamespace(worst_first=[], is_demo=False, version="1"),
    "x": "<",
}


def test_a_page_is_had_whole_or_in_parts() -> None:
    templates = make(page=PAGE.strip())
    whole = templates.render("page.html", VALUES)
    assert whole.startswith("<!doctype html>")
    assert "<title>T · copilot-api</title>" in whole
    assert "<p>all</p>" in whole
    assert (
        templates.render_fragments("page.html", VALUES, "one") == '<template data-fragment="one"><i>&lt;</i></template>'
    )
    both = templates.render_fragments("page.html", VALUES, " two, one ")
    assert (
        both
        == '<template data-fragment="two"><b>2</b></template>\n<template data-fragment="one"><i>&lt;</i></template>'
    )


def test_the_strip_is_a_part_of_every_page() -> None:
    assert make(page=PAGE.strip()).render_fragments("page.html", VALUES, "notices") is not None


@pytest.mark.parametrize("wanted", ["three", "one,three", "", '"><script>', ",".join(["one"] * 17)])
def test_parts_that_are_not_to_be_had_are_none(wanted: str) -> None:
    assert make(page=PAGE.strip()).render_fragments("page.html", VALUES, wanted) is None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_template_keeps_to_the_rules(path: Any) -> None:
    text = path.read_text()
    Templates(Assets())._environment.get_template(path.relative_to(PACKAGE / "templates").as_posix())
    markup = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    assert not re.search(r"\bstyle\s*=|<style\b", markup), "the policy stops styles in the page"
    assert not re.search(r"<script(?![^>]*\bsrc=)", markup), "the policy stops scripts in the page"
    assert not re.search(r"\son[a-z]+\s*=", markup), "the policy stops handlers in the page"
    assert "|safe" not in markup.replace(" ", ""), "everything is escaped"
    assert not re.search(r"(?:href|src|action)=\"(?:https?:)?//", markup), "nothing comes from elsewhere"
    assert "javascript:" not in markup


def test_every_icon_that_a_template_names_is_there() -> None:
    known = set(re.findall(r'<symbol id="([^"]+)"', Assets().get("icons.svg").plain.decode()))
    for path in TEMPLATES:
        text = path.read_text()
        named = set(re.findall(r'\bicon\("([^"]+)"\)|icon_name="([^"]+)"', text))
        assert {name for pair in named for name in pair if name} <= known, path
