"""Captures in a browser: followed as they come, read, tried on redaction, and sent again."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme

PAGE = "/admin/traces"
SECRET = "ghp_" + "Zq8w" * 9


def post(url: str, key: str, document: object, **headers: str) -> None:
    request = urllib.request.Request(
        url,
        json.dumps(document).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


def call(demo: Demo, text: str, *, stream: bool = True, model: str = "gpt-4.1") -> None:
    """A call that is captured, with a secret in it."""
    messages = [
        {"role": "system", "content": "Answer in one line. <script>alert(1)</script>"},
        {"role": "user", "content": f"{text} My token is {SECRET}."},
    ]
    document = {"model": model, "stream": stream, "messages": messages}
    post(f"{demo.url}/v1/chat/completions", demo.admin_key, document, **{"x-capi-debug": "1"})


def step_up(page: Page, demo: Demo) -> None:
    """Shows the key again, where that is asked for."""
    if page.locator('[name="step_up_key"]').count():
        page.fill('[name="step_up_key"]', demo.admin_key)
        page.get_by_role("button", name="Go on").click()


def open_trace(page: Page, demo: Demo, text: str) -> None:
    call(demo, text)
    for _ in range(20):
        page.goto(PAGE)
        if page.locator("#traces tbody tr").count():
            break
        page.wait_for_timeout(200)
    page.locator("#traces tbody a").first.click()
    step_up(page, demo)
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_trace_is_found_and_read_without_its_secrets(open_page: OpenPage, demo: Demo, theme: Theme) -> None:
    page = open_page(PAGE, theme=theme, expected_errors=("403",))
    open_trace(page, demo, "What is the answer?")
    expect(page.locator("#conversation")).to_contain_text("What is the answer?")
    expect(page.locator("#conversation")).to_contain_text("<script>alert(1)</script>")
    assert SECRET not in page.content()
    assert "[redacted:" in page.content()
    assert_accessible(page)
    take_screenshot(page, f"trace-desktop-{theme}", whole=True)
    body = page.locator("#client-request")
    body.get_by_role("button", name=re.compile("as a tree")).click()
    expect(body.locator(".tree")).to_contain_text("messages")
    assert_accessible(page)
    page.locator("#upstream-answer details[data-body] > summary").click()
    page.locator("#upstream-answer").get_by_role("button", name=re.compile("as a tree")).click()
    expect(page.locator("#upstream-answer .tree")).to_contain_text("choices")
    take_screenshot(page, f"trace-tree-{theme}", whole=True)
    page.goto(PAGE)
    assert_accessible(page)
    take_screenshot(page, f"traces-desktop-{theme}")


def test_the_list_is_walked_and_filtered_by_keyboard(open_page: OpenPage, demo: Demo) -> None:
    call(demo, "By keyboard?", stream=False)
    page = open_page(PAGE, expected_errors=("403",))
    page.keyboard.press("/")
    page.keyboard.type("status:4xx ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_role("link", name="Remove status:4xx").click()
    expect(page.locator("#traces tbody tr").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    step_up(page, demo)
    expect(page).to_have_url(re.compile("/admin/traces/req_"))


def test_the_tail_pauses_and_goes_on_without_a_gap(open_page: OpenPage, demo: Demo) -> None:
    page = open_page(f"{PAGE}/tail?q=model:gpt-4.1")
    rows = page.locator("#tail tbody tr")
    expect(page.locator("[data-tail-state]")).to_have_text("Following")
    assert_accessible(page)
    call(demo, "First.")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-tail-state]")).to_have_text("Paused")
    call(demo, "Second.")
    call(demo, "Of another model.", model="gpt-5-mini")
    page.wait_for_timeout(500)
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Resume").click()
    expect(rows).to_have_count(2)
    call(demo, "Third.")
    expect(rows).to_have_count(3)
    assert_accessible(page)
    take_screenshot(page, "traces-tail")
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(0)


def test_a_text_is_tried_on_redaction_and_not_shown_again(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}/dry-run")
    assert_accessible(page)
    odd = "deployment 8f14e45fceea167a5a36dedd4bea2543 is fine"
    page.fill('[name="text"]', json.dumps({"content": f"my token is {SECRET}", "note": odd}))
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#redacted")).to_contain_text("[redacted:")
    assert SECRET not in page.content()
    assert page.input_value('[name="text"]') == ""
    assert_accessible(page)
    take_screenshot(page, "traces-dry-run", whole=True)


def test_a_request_is_sent_again_and_compared(open_page: OpenPage, demo: Demo) -> None:
    page = open_page(PAGE, expected_errors=("403",))
    open_trace(page, demo, "Once more?")
    page.get_by_role("button", name="Replay …").click()
    expect(page.get_by_role("dialog")).to_contain_text("spends the account's credits")
    assert_accessible(page)
    take_screenshot(page, "trace-replay")
    page.fill('[name="model"]', "gpt-5-mini")
    page.get_by_role("button", name="Send it, and spend credits").click()
    expect(page).to_have_url(re.compile("/replays/req_"), timeout=20_000)
    expect(page.get_by_text("the model was gpt-5-mini instead of gpt-4.1")).to_be_visible()
    assert_accessible(page)
    take_screenshot(page, "trace-compared", whole=True)


@pytest.mark.parametrize("device", ["phone", "small"])
def test_it_fits_a_phone(open_page: OpenPage, demo: Demo, device: str) -> None:
    page = open_page(PAGE, device=device, expected_errors=("403",))
    open_trace(page, demo, "On a phone?")
    assert_fits(page)
    assert_accessible(page)
    take_screenshot(page, f"trace-{device}", whole=True)
    for path in (PAGE, f"{PAGE}/tail", f"{PAGE}/dry-run"):
        page.goto(path)
        assert_fits(page)
    take_screenshot(page, f"traces-dry-run-{device}")


def test_without_a_script_it_can_be_read(open_page: OpenPage, demo: Demo) -> None:
    page = open_page(PAGE, java_script_enabled=False, expected_errors=("403",))
    open_trace(page, demo, "Without a script?")
    assert page.locator(".needs-script:visible").count() == 0
    page.locator("#client-request summary", has_text="headers").click()
    assert page.locator("#client-request th", has_text="x-capi-debug").is_visible()
