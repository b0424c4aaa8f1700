"""A reset forgets everything but what is in flight."""

from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.simulation import Simulation


def test_a_reset_goes_back_to_the_options() -> None:
    simulation = Simulation(SimulatorOptions(tokens=9))
    simulation.stats.begin_call()
    simulation.pace.tokens = 50
    simulation.quotas.spend("octocat", 1)
    simulation.catalog.set_policy("gpt-4.1", "disabled")
    simulation.reset()
    assert simulation.pace.tokens == 9
    assert simulation.quotas.used("octocat") == 29
    assert simulation.catalog.get("gpt-4.1", "/chat/completions").id == "gpt-4.1"
    assert simulation.stats.in_flight == 1
