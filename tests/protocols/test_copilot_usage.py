"""Copilot's own account of a call."""

import msgspec
import pytest

from copilot_api.protocols.copilot_usage import CopilotUsage


def account(source: str) -> CopilotUsage:
    return msgspec.json.decode(source, type=CopilotUsage)


@pytest.mark.parametrize(
    ("source", "charge"),
    [
        ("{}", None), ('{"total_nano_aiu":null}', None), ('{"total_nano_aiu":0}', 0), ('{"total_nano_aiu":123960000}', 123960000),
        ('{"total_nano_aiu":1.0}', 1), ('{"total_nano_aiu":1234.9}', 1234),
    ],
)  # fmt: skip
def test_the_charge_is_a_whole_number_or_unknown(source: str, charge: int | None) -> None:
    assert account(source).nano_aiu == charge


def test_cache_writes_are_summed() -> None:
    details = '[{"token_type":"cache_write","token_count":3,"batch_size":1},{"token_type":"input","token_count":9},{"token_type":"cache_write","token_count":4}]'
    assert account(f'{{"token_details":{details}}}').cache_write_tokens == 7  # fmt: skip
    assert account("{}").cache_write_tokens == 0


def test_an_account_with_unknown_fields_is_read() -> None:
    assert (
        account('{"total_nano_aiu":1,"new":{"a":1},"token_details":[{"token_type":"video","token_count":1}]}').nano_aiu
        == 1
    )
