"""
A browser and a demo for tests of the admin pages as people use them.

One Chromium for each process that runs tests. It stays open only while tests of this package run: Playwright's loop would
be in the way of every other test that has one.
"""

import os
import re
import shutil
import time
from collections.abc import Generator, Iterator
from typing import Any, Literal, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from tests.harness import Program, free_environment

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu", "--force-color-profile=srgb"]
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "laptop": {"viewport": {"width": 1024, "height": 768}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
    "small": {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True},
}
TIMEOUT_MS = 10_000
Theme = Literal["light", "dark"]
_KEY = re.compile(r"(admin|client) key +(sk-cap-\S+)")
_NOTE_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Demo(Program):
    """`copilot-api demo` with its keys."""

    def __init__(self) -> None:
        super().__init__(["demo", "--port", "0", "--still"], free_environment())

    def start(self) -> None:
        super().start()
        ends = time.monotonic() + 20
        while len(self._keys()) < 2:
            assert time.monotonic() < ends, self.output
            time.sleep(0.02)

    def _keys(self) -> dict[str, str]:
        return {match[1]: match[2] for match in _KEY.finditer(self.output)}

    @property
    def admin_key(self) -> str:
        return self._keys()["admin"]

    @property
    def client_key(self) -> str:
        return self._keys()["client"]


class OpenPage(Protocol):
    """Opens a page of the demo; see `open_page`."""

    def __call__(
        self,
        path: str,
        *,
        who: str | None = "admin",
        theme: Theme = "light",
        device: str = "desktop",
        expected_errors: tuple[str, ...] = (),
        **context: Any,
    ) -> Page: ...


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """A demo for the tests of this process. What a test makes in it stays: choose names of its own."""
    with Demo() as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, or a reason to skip."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        pytest.skip(f"there is no browser ({', '.join(PROGRAMS)}): `make browser` installs one where it may")
    environment: dict[str, str | float | bool] = {
        name: value for name, value in os.environ.items() if not name.startswith("COPILOT_API_")
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, env=environment)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def signed_in() -> dict[tuple[str, str], Any]:
    """The cookies of sessions that were opened already, by site and role: one each is enough."""
    return {}


@pytest.fixture
def open_page(browser: Browser, demo: Demo, signed_in: dict[tuple[str, str], Any]) -> Generator[OpenPage]:
    """
    Opens pages, signed in as "admin", "client" or (None) nobody, and fails the test on whatever a page complains of:
    errors on the console, exceptions, violations of the content security policy. `expected_errors` are parts of those that
    belong to the test. More arguments go to Playwright's `new_context`.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(
        path: str,
        *,
        who: str | None = "admin",
        theme: Theme = "light",
        device: str = "desktop",
        expected_errors: tuple[str, ...] = (),
        **more: Any,
    ) -> Page:
        state = _sign_in(browser, demo, signed_in, who)
        context = browser.new_context(
            base_url=demo.url, color_scheme=theme, storage_state=state, locale="en-GB", **{**DEVICES[device], **more}
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(_NOTE_VIOLATIONS)

        def complain(text: str) -> None:
            if not any(expected in text for expected in expected_errors):
                complaints.append(text)

        context.on("console", lambda message: complain(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: complain(str(error.error)))
        page = context.new_page()
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


def _sign_in(browser: Browser, demo: Demo, signed_in: dict[tuple[str, str], Any], who: str | None) -> Any:
    if who is None:
        return None
    key = (demo.url, who)
    if key not in signed_in:
        context = browser.new_context(base_url=demo.url)
        try:
            secret = demo.admin_key if who == "admin" else demo.client_key
            answer = context.request.post("/admin/login", form={"key": secret}, max_redirects=0)
            assert answer.status == 303, answer.text()
            signed_in[key] = context.storage_state()
        except Error as error:
            raise AssertionError(f"cannot sign in: {error}\n{demo.output}") from error
        finally:
            context.close()
    return signed_in[key]
