"""What a first visit costs."""

import gzip
import re

from playwright.sync_api import Request

from copilot_api.admin.assets import Assets
from tests.browser.conftest import OpenPage

MOST_BYTES = 150_000
OWN_SCRIPTS_AND_STYLES = 40_000


def test_a_first_visit_with_charts_is_below_150_kb_compressed(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    sizes: dict[str, int] = {}

    def note(request: Request) -> None:
        response = request.response()
        if response is None or "/admin/live" in request.url:
            return
        body = response.body()
        is_compressed = response.headers.get("content-encoding") == "gzip"
        sizes[request.url] = len(gzip.compress(body)) if is_compressed else len(body)

    page.on("requestfinished", note)
    page.goto("/admin/_styleguide")
    page.wait_for_selector("#chart-requests [data-drawn]")
    page.wait_for_timeout(300)
    assert any(url.endswith("uplot.js") for url in sizes)
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_what_is_our_own_is_small() -> None:
    assets = Assets()
    own = {
        name: len(assets.get(name).compressed)
        for name in assets.names
        if name.endswith((".js", ".css")) and not name.startswith("uplot")
    }
    assert sum(own.values()) < OWN_SCRIPTS_AND_STYLES, own


def test_every_script_of_the_shell_is_fetched_ahead() -> None:
    assets = Assets()
    scripts = {name for name in assets.names if name.endswith(".js")} - {"boot.js", "plain.js", "uplot.js"}
    imported = {
        name for script in scripts for name in re.findall(r'from "\./([\w.]+)"', assets.get(script).plain.decode())
    }
    assert imported <= scripts
