"""The defaults answer at once and refuse nothing that is well formed."""

from copilot_api.simulator.options import SimulatorOptions


def test_defaults_are_fast_and_lenient() -> None:
    options = SimulatorOptions()
    assert (options.first_token_seconds, options.gap_seconds) == (0, 0)
    assert options.overage_permitted
    assert options.messages_backend == "bedrock"
