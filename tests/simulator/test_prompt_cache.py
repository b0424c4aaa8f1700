"""The start of a long prompt is read from the cache once it was seen."""

from copilot_api.simulator.conversation import Prompt, Turn
from copilot_api.simulator.prompt_cache import PromptCache


def _prompt(*texts: str) -> Prompt:
    return Prompt(tuple(Turn("user", text) for text in texts), {}, forbids_tools=False, images=0, tool_characters=0)


def test_short_prompts_are_not_cached() -> None:
    cache = PromptCache()
    assert {cache.look_up(_prompt("short"), "m", writes=True) for _ in range(2)} == {(0, 0)}


def test_what_was_written_is_read_by_the_same_model() -> None:
    cache, start = PromptCache(), "x" * 8192
    assert cache.look_up(_prompt(start), "m", writes=True) == (0, 2048)
    assert cache.look_up(_prompt(start, "y" * 4096), "m", writes=True) == (2048, 1024)
    assert cache.look_up(_prompt(start, "z"), "m", writes=False) == (2048, 0)
    assert cache.look_up(_prompt(start), "other", writes=False) == (0, 0)
