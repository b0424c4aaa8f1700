"""What the operations on the configuration declare."""

from dataclasses import fields
from datetime import UTC, datetime

import msgspec

from copilot_api.api.operations.config import OPERATIONS, ConfigImpact, ConfigInForce, MistakeDocument
from copilot_api.config.mistakes import Mistake
from copilot_api.config.schema import ConfigFile
from copilot_api.gateway.impact import Effect, Impact, Meaning, Row, render_impact

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_an_impact_is_told_as_declared() -> None:
    rows = (
        Row("key_a", "ci", "fast", Meaning("gpt-4.1"), Meaning(error="model_not_found"), 5, 5, 10, 0),
        Row("key_a", "ci", "slow", Meaning("gpt-4.1"), Meaning("gpt-5"), 3),
    )
    found = msgspec.convert(render_impact(Impact(NOW, NOW, rows, 1, 2)), ConfigImpact)
    assert [row.effect for row in found.rows] == [Effect.FAILS, Effect.CHANGES]
    assert found.left_out.requests == 2


def test_a_mistake_has_all_that_is_known_of_it() -> None:
    assert set(MistakeDocument.__struct_fields__) == {field.name for field in fields(Mistake)}


def test_the_configuration_is_described_as_the_file_is() -> None:
    content = msgspec.json.encode(ConfigInForce(config=ConfigFile(), hash="", rejected=None, path="/x"))
    assert msgspec.json.decode(content, type=ConfigInForce).config == ConfigFile()


def test_whatever_writes_the_file_needs_the_key_again() -> None:
    for operation in OPERATIONS:
        is_change = operation.method != "GET" and operation.path.rpartition("/")[2] not in {"preview", "validate"}
        assert operation.is_sensitive is is_change
