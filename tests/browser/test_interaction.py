"""What scripts add: keys, charts, updates in place, live parts, filters, dialogs, copying, theme and clock."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Dialog, Page, Route, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.conftest import OpenPage, Theme

PAGE = "/admin/_styleguide"
MISSING = ("404",)
"""Where keys lead to pages that may not be there."""


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr')?.dataset.key ?? document.activeElement.name ?? ''"))


def test_rows_are_walked_with_j_and_k_and_opened_with_enter(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    for key in "jjjk":
        page.keyboard.press(key)
    assert focused(page) == "req-1"
    assert page.locator('tr[aria-selected="true"]').count() == 1
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#req-1$"))


def test_slash_searches_and_escape_leaves(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.keyboard.press("/")
    assert focused(page) == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert focused(page) != "q"


def test_g_and_a_letter_go_to_a_page(open_page: OpenPage) -> None:
    page = open_page(PAGE, expected_errors=MISSING)
    page.keyboard.press("g")
    with page.expect_navigation(url="**/admin/audit"):
        page.keyboard.press("a")


def test_letters_typed_into_a_field_are_letters(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.fill('[name="label"]', "")
    page.focus('[name="label"]')
    page.keyboard.type("gk j?/e")
    assert page.locator('[name="label"]').input_value() == "gk j?/e"
    assert page.locator("dialog[open]").count() == 0


def test_a_dialog_keeps_the_focus_and_gives_it_back(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    opener = page.locator('[data-dialog="confirm-revoke"]')
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm-revoke")).to_be_visible()
    expect(page.locator("#confirm-revoke [data-close]")).to_be_focused()  # what does no harm
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('#confirm-revoke'))"
        )
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_question_mark_lists_the_keys(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_a_menu_is_closed_by_escape_and_by_a_click_beside_it(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    summary = page.locator(".top-tools .menu > summary")
    summary.click()
    expect(page.locator(".top-tools .menu-body")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".top-tools .menu-body")).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    page.click(".page-lead")
    expect(page.locator(".top-tools .menu-body")).to_be_hidden()


def test_sorting_renews_the_table_alone_and_back_works(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.evaluate("window.isSamePage = true")
    page.click('#requests th[data-column="tokens"] a')
    expect(page.locator('#requests th[data-column="tokens"]')).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#requests tbody tr").first).to_contain_text("131,072")
    assert query(page)["sort"] == ["-tokens"]
    page.go_back()
    expect(page.locator('#requests th[data-column="at"]')).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#requests tbody tr").first).to_contain_text("gpt-5-mini")
    assert "sort" not in query(page)
    assert page.evaluate("window.isSamePage") is True


def test_the_filter_suggests_fields_then_values_and_puts_itself_into_the_url(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    field = page.locator("[data-search]").first
    field.fill("")
    field.focus()
    page.keyboard.type("ke")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert field.input_value() == "key:"
    page.keyboard.type("gr")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert field.input_value() == 'key:"grace hopper" '
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("grace"))
    assert query(page)["q"] == ['key:"grace hopper" ']


def test_chosen_columns_stay_when_the_table_is_renewed_and_when_it_is_loaded_anew(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.click('summary:has-text("Columns")')
    page.click('label:has-text("TTFT")')
    head = page.locator('#requests th[data-column="ttft"]')
    expect(head).to_be_hidden()
    page.keyboard.press("Escape")
    page.click('#requests th[data-column="tokens"] a')
    expect(page.locator('#requests th[data-column="tokens"]')).to_have_attribute("aria-sort", "descending")
    expect(head).to_be_hidden()
    expect(page.locator("#requests tbody tr").first.locator("td").nth(5)).to_be_hidden()
    page.reload()
    expect(head).to_be_hidden()


def test_a_chart_draws_its_table_shows_what_is_under_the_pointer_and_hides_a_series(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    over = page.locator("#chart-requests .u-over")
    over.hover(position={"x": 700, "y": 80})
    tip = page.locator("#chart-requests .chart-tip")
    expect(tip).to_contain_text("claude-sonnet-4.6")
    expect(tip).to_contain_text("Total")
    expect(page.locator("#chart-ttft .u-cursor-x")).not_to_have_class(re.compile("u-off"))  # the crosshair is shared
    legend = page.locator("#chart-requests .chart-legend button")
    assert legend.count() == 5
    legend.first.click()
    expect(legend.first).to_have_attribute("aria-pressed", "false")
    over.hover(position={"x": 400, "y": 80})
    expect(tip).not_to_contain_text("claude-sonnet-4.6")


def lead_away(page: Page, gesture: Callable[[], None]) -> None:
    """A gesture on a chart, made again where a busy machine drew the chart anew in the middle of it."""
    for attempt in range(3):
        try:
            with page.expect_navigation(timeout=5000):
                gesture()
        except PlaywrightTimeout:
            if attempt == 2:
                raise
        else:
            return


def test_dragging_over_a_chart_makes_its_stretch_the_range_and_a_double_click_widens_it(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.wait_for_selector("#chart-requests [data-drawn]")
    over = page.locator("#chart-requests .u-over")

    def drag() -> None:
        over.hover(position={"x": 120, "y": 60})
        page.mouse.down()
        for x in (200, 280, 360):
            over.hover(position={"x": x, "y": 60})
        page.mouse.up()

    lead_away(page, drag)
    assert {"since", "until"} <= query(page).keys()
    expect(page.locator(".ranges details[data-current]")).to_be_visible()
    since = query(page)["since"]
    page.wait_for_selector("#chart-requests [data-drawn]")
    lead_away(page, lambda: over.dblclick(position={"x": 200, "y": 60}))
    assert query(page)["since"] != since


def test_live_parts_are_fetched_when_their_topic_changes_and_not_while_it_is_off(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    asked: list[str] = []

    def answer_live(route: Route) -> None:
        asked.append(route.request.url)
        body = 'retry: 100000\n\nevent: changed\ndata: ["usage"]\n\n'
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    page.route("**/admin/live*", answer_live)
    with page.expect_request(lambda request: request.headers.get("x-fragment") == "requests_table"):
        page.goto(PAGE)
    assert "topics=state%2Cusage" in asked[0]
    page.keyboard.press("l")
    expect(page.locator("[data-live-switch]")).to_have_attribute("aria-pressed", "false")
    count = len(asked)
    page.reload()
    page.wait_for_timeout(300)
    assert len(asked) == count, "it stays off"
    page.click("[data-live-switch]")
    page.wait_for_timeout(200)
    assert len(asked) == count + 1


def test_nothing_is_listened_to_while_the_tab_is_hidden(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.add_init_script(
        """
        window.opens = 0; window.closes = 0;
        const Real = EventSource;
        window.EventSource = class extends Real {
          constructor(...all) { super(...all); window.opens += 1; }
          close() { super.close(); window.closes += 1; }
        };
        window.hide = (value) => {
          Object.defineProperty(document, "hidden", { value, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        };
        """
    )
    page.goto(PAGE)
    page.wait_for_selector("#chart-requests [data-drawn]")
    assert page.evaluate("opens") == 1
    page.evaluate("hide(true)")
    assert page.evaluate("[opens, closes]") == [1, 1]
    with page.expect_request(lambda request: "x-fragment" in request.headers):
        page.evaluate("hide(false)")  # and what was missed is made good
    assert page.evaluate("opens") == 2


def test_what_is_renewed_keeps_the_focus_the_selection_and_what_is_open(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.evaluate(
        """async () => { const { renew } = await import(document.querySelector('link[href$="fragments.js"]').href);
        await renew(location.href, ["requests_table", "notices"], { quiet: true }); }"""
    )
    assert focused(page) == "req-1"
    assert page.locator('tr[aria-selected="true"]').count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_the_systems_until_it_is_chosen_and_then_stays(open_page: OpenPage, theme: Theme) -> None:
    page = open_page(PAGE, theme=theme)
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.click("[data-theme-toggle]")
    after = page.evaluate(background)
    assert before != after
    page.reload()
    assert page.evaluate(background) == after


def test_times_are_in_the_zone_that_was_chosen(open_page: OpenPage) -> None:
    page = open_page(PAGE, timezone_id="Asia/Kolkata")
    first = page.locator("#requests tbody time").first
    assert "UTC+5:30" in (first.get_attribute("title") or "")
    local = first.inner_text()
    page.click('.top-tools .segments [data-clock-choice="utc"]')
    expect(first).to_have_attribute("title", re.compile(r" UTC$"))
    assert first.inner_text() != local


def test_a_secret_is_masked_until_asked_for_and_copied_whole(open_page: OpenPage) -> None:
    page = open_page(PAGE, permissions=["clipboard-read", "clipboard-write"])
    secret = page.locator("#sample-secret")
    masking = "getComputedStyle(document.querySelector('#sample-secret')).webkitTextSecurity"
    assert page.evaluate(masking) == "disc"
    page.click('[data-copy="#sample-secret"]')
    expect(page.locator(".toast")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret.text_content()
    page.click("[data-reveal]")
    assert page.evaluate(masking) == "none"
    expect(page.locator("[data-reveal]")).to_have_text("Hide")


def test_a_page_with_a_secret_asks_before_it_is_left_until_somebody_says_it_is_stored(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", agree)
    page.click("#sample-secret")  # browsers ask only where somebody has done something
    page.reload()
    assert asked == ["beforeunload"]
    page.click("[data-stored]")
    page.reload()
    assert asked == ["beforeunload"]


def test_a_toast_says_what_happened_and_goes_when_told(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?toast=warn")
    expect(page.locator(".toast-warn")).to_contain_text("asked for by the URL")
    page.click(".toast button")
    expect(page.locator(".toast")).to_have_count(0)


def test_a_phone_has_the_places_at_the_bottom(open_page: OpenPage) -> None:
    page = open_page(PAGE, device="small", expected_errors=MISSING)
    assert not page.locator(".rail").is_visible()
    page.tap(".bottom summary")
    expect(page.locator(".bottom .sheet a")).to_have_count(6)
    with page.expect_navigation(url="**/admin/keys"):
        page.tap('.bottom .sheet a:has-text("Keys")')


def test_whoever_was_signed_out_is_led_to_sign_in_and_back(open_page: OpenPage) -> None:
    page = open_page(PAGE, expected_errors=("401",))
    page.wait_for_selector("#chart-requests [data-drawn]")
    page.context.clear_cookies()
    with page.expect_navigation(url="**/admin/login?next=*"):
        page.click('#requests th[data-column="tokens"] a')
    assert "sort%3D-tokens" in page.url


def test_whoever_was_signed_out_finds_out_when_the_stream_ends(open_page: OpenPage) -> None:
    page = open_page("about:blank", expected_errors=("401",))
    page.route("**/admin/live*", lambda route: route.fulfill(status=401))
    page.goto(PAGE)
    page.wait_for_selector("#chart-requests [data-drawn]")
    page.context.clear_cookies()
    page.keyboard.press("l")
    with page.expect_navigation(url="**/admin/login?next=*"):
        page.keyboard.press("l")
