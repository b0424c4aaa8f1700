"""What every page has to stand: a screen reader, a narrow screen, and being looked at."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCREENSHOTS = "COPILOT_API_SCREENSHOTS"
"""Names the directory that `take_screenshot` writes to."""
_AXE = Path(__file__).parent / "vendor" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def assert_accessible(page: Page, *, without: tuple[str, ...] = ()) -> None:
    """No finding of axe that is serious or worse, and none at all of WCAG's A and AA. `without`: rules with a reason."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_read_axe())
    options = {"runOnly": _TAGS, "rules": {rule: {"enabled": False} for rule in without}}
    result: dict[str, Any] = page.evaluate(f"axe.run(document, {json.dumps(options)})")
    found = [
        f"{finding['impact']} {finding['id']}: {finding['help']}\n  "
        + "\n  ".join(f"{node['target']} {node['failureSummary'][:300]}" for node in finding["nodes"][:5])
        for finding in result["violations"]
        if finding["impact"] in {"serious", "critical"} or any(tag.startswith("wcag") for tag in finding["tags"])
    ]
    assert not found, "\n".join(found)


def assert_fits(page: Page) -> None:
    """It does not scroll sideways, and says what is too wide."""
    too_wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
        [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
          .slice(0, 8).map((each) => `${each.tagName}.${each.className} ${each.textContent.trim().slice(0, 40)}`)"""
    )
    assert not too_wide, too_wide
    width, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= seen


def confirm_with_key(page: Page, key: str, button: str, *, exact: bool = False) -> None:
    """Press the button of a form, and show the key again where that is asked for (which is a 403)."""
    page.wait_for_load_state()  # else the end of this page would be taken for the next one
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=exact).click()
    field = page.locator("[name=step_up_key]")
    if field.count():
        field.fill(key)
        with page.expect_navigation():
            field.press("Enter")


def take_screenshot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep how the page looks as `name`.png, where a directory for that is named; `whole` with what is below."""
    directory = os.environ.get(SCREENSHOTS)
    if directory:
        page.wait_for_timeout(400)  # charts draw after what they need is there
        page.screenshot(path=Path(directory) / f"{name}.png", full_page=whole, animations="disabled")


@cache
def _read_axe() -> str:
    return _AXE.read_text()
