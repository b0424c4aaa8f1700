import pytest

from copilot_api.config.budgets import Budget, Unit, Window, check_amount, parse_budget
from copilot_api.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("credits:day:50", Budget(Unit.CREDITS, Window.DAY, 50)),
        ("tokens:hour:2e6", Budget(Unit.TOKENS, Window.HOUR, 2_000_000)),
        ("requests:month:1000:observe", Budget(Unit.REQUESTS, Window.MONTH, 1000, is_observed=True)),
        ("requests:month:1000:enforce", Budget(Unit.REQUESTS, Window.MONTH, 1000)),
        (" Premium-Requests:WEEK:0.5 ", Budget(Unit.PREMIUM_REQUESTS, Window.WEEK, 0.5)),
        ("premium requests:weekly:3", Budget(Unit.PREMIUM_REQUESTS, Window.WEEK, 3)),
        ("credit:daily:1e-3", Budget(Unit.CREDITS, Window.DAY, 0.001)),
    ],
)
def test_a_budget_is_a_unit_a_window_and_an_amount(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "credits",
        "credits:day",
        "credits:day:",
        "credits:day:many",
        "50:day:credits",
        "gold:day:5",
        "credits:year:5",
    ],
)
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_budget(text)
    assert "UNIT:WINDOW:AMOUNT" in (refusal.value.actual_hint or "")


@pytest.mark.parametrize("text", ["credits:day:5:watch", "credits:day:5:observe:", "credits:day:5:6"])
def test_behind_the_amount_there_is_only_observe(text: str) -> None:
    with pytest.raises(BadRequest, match="no budget"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["credits:day:0", "credits:day:-5", "credits:day:nan", "credits:day:inf", "tokens:day:2e15"]
)
def test_an_amount_is_more_than_nothing_and_finite(text: str) -> None:
    with pytest.raises(BadRequest, match="more than 0 and at most"):
        parse_budget(text)


def test_the_largest_amount_is_allowed() -> None:
    check_amount(1e15)


def test_what_was_typed_reaches_no_terminal_as_it_is() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_budget("\x1b[2J" * 100)
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 500


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("window", Window)
@pytest.mark.parametrize("amount", [50, 0.00001, 1e15, 12_345_678.25])
@pytest.mark.parametrize("is_observed", [False, True])
def test_the_text_of_a_budget_is_read_as_that_budget(
    unit: Unit, window: Window, amount: float, is_observed: bool
) -> None:
    budget = Budget(unit, window, amount, is_observed)
    assert parse_budget(budget.text) == budget


def test_a_budget_is_called_by_its_unit_and_window() -> None:
    assert parse_budget("premium:monthly:5").name == "premium_requests:month"
