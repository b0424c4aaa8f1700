"""The bench of admission measures what it says: calls that were let in, settled, and left nothing behind."""

import asyncio

import pytest

from bench import admission


@pytest.mark.parametrize("name", admission.POLICIES)
def test_a_round_measures_every_kind_of_key(name: str) -> None:
    everybody = admission.BUDGETS if "budgets" in name else ()
    microseconds = asyncio.run(admission.measure(admission.POLICIES[name], 20, 200, everybody=everybody))
    assert 0 < microseconds < 10_000
