import os

from copilot_api.config.environment import environment


def test_it_is_the_environment_of_this_process() -> None:
    assert environment().get("PATH") == os.environ.get("PATH")
