"""
Templates: everything escaped, nothing undefined, and the components of the design system at hand as `ui`.

A page can be had in parts: a block of its template by itself, for a script that puts it where the old one was.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import CodeType
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup

from copilot_api.admin import components, date_range, figures, links, moments, palette, shell
from copilot_api.admin.assets import Assets
from copilot_api.admin.chart_tables import chart_rows

MAX_FRAGMENTS = 16
COMPONENTS = "_partials/ui.html"


class _Compiled(jinja2.BytecodeCache):
    """What a template was compiled to, for everything that uses it in this process."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """See jinja2."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """See jinja2."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


_compiled = _Compiled()


class Templates:
    """See the module. Templates are compiled when they are first used, once in a process."""

    def __init__(self, assets: Assets, loader: jinja2.BaseLoader | None = None) -> None:
        """`loader` is for templates from elsewhere, in tests."""
        environment = jinja2.Environment(
            loader=loader or jinja2.PackageLoader("copilot_api.admin"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
            bytecode_cache=_compiled,
        )
        environment.filters.update(_FILTERS)
        shared: dict[str, Any] = environment.globals
        shared |= {
            "asset": assets.url,
            "icon": _icons(assets),
            "page_url": links.page_url,
            "sort_url": links.sort_url,
            "range_links": date_range.range_links,
            "places_for": shell.places_for,
            "on_phone": shell.ON_PHONE,
            "Column": components.Column,
            "Choice": components.Choice,
            "chart_rows": chart_rows,
        }
        self._environment = environment
        shared["ui"] = environment.get_template(COMPONENTS).module

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """The whole page. Raises what jinja2 raises: a template that is wrong is a defect."""
        return self._environment.get_template(name).render(values)

    def render_fragments(self, name: str, values: Mapping[str, object], wanted: str) -> str | None:
        """
        The blocks of `wanted` (names with commas), each in a `<template data-fragment>`. None where the template has no
        such block, or too many are wanted: then the whole page is the answer.
        """
        template = self._environment.get_template(name)
        names = [each.strip() for each in wanted.split(",")]
        if len(names) > MAX_FRAGMENTS:
            return None
        parts: list[str] = []
        for each in names:
            block = self._find_block(template, each)
            if block is None:
                return None
            body = "".join(block(template.new_context(dict(values))))
            parts.append(f'<template data-fragment="{each}">{body}</template>')
        return "\n".join(parts)

    def _find_block(self, template: jinja2.Template, name: str) -> Any:
        """The block of a template, or of what it extends (only the shell's own, which no page may change)."""
        return template.blocks.get(name) or self._environment.get_template("base.html").blocks.get(name)


def _icons(assets: Assets) -> Any:
    sprite = assets.url("icons.svg")
    form = Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>')

    def icon(name: str) -> Markup:
        """One of icons.svg; whoever uses it puts words beside it, or on what it stands in."""
        return form.format(sprite, name)

    return icon


def _figure(value: figures.Number | None, kind: str = "short") -> Markup:
    """A number that is short, and exact in its title."""
    text = {"short": figures.short, "seconds": figures.seconds, "percent": figures.percent}[kind](value)
    full = figures.exact(value)
    return Markup("{}").format(text) if text == full else Markup('<span title="{}">{}</span>').format(full, text)


def _attributes(values: Mapping[str, object]) -> Markup:
    """HTML attributes from a mapping: True is a bare one; None and False are none at all."""
    parts: Iterable[Markup] = (
        Markup(" {}").format(name) if value is True else Markup(' {}="{}"').format(name, value)
        for name, value in values.items()
        if value is not None and value is not False
    )
    return Markup("").join(parts)


def _suggestions(fields: Iterable[components.QueryField]) -> str:
    """For an attribute that `static/filters.js` reads; escaped by the template like any text."""
    return json.dumps([field.suggestion() for field in fields], separators=(",", ":"), ensure_ascii=False)


@jinja2.pass_context
def _when(context: jinja2.runtime.Context, value: datetime | None) -> Markup:
    """`3 min ago`, from the time of the request."""
    return moments.show_relative(value, context["request"].now)


_FILTERS: dict[str, Any] = {
    "short": figures.short,
    "exact": figures.exact,
    "percent": figures.percent,
    "seconds": figures.seconds,
    "size": figures.size,
    "figure": _figure,
    "spark_points": figures.spark_points,
    "share": figures.share,
    "series": palette.series_class,
    "when": _when,
    "minute": moments.show_minute,
    "second": moments.show_second,
    "day": moments.show_day,
    "moment": datetime.fromisoformat,
    "machine_time": moments.machine_time,
    "full_time": moments.full_time,
    "attributes": _attributes,
    "suggestions": _suggestions,
}
