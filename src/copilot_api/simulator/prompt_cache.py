"""The upstream's prompt cache, as far as the usage shows it: the start of a prompt seen before is cheaper."""

import hashlib

from copilot_api.simulator.conversation import Prompt, count_tokens

_FEWEST_TOKENS = 1024
_STEP = 128
_MOST_PREFIXES = 50_000


class PromptCache:
    """Remembers the prefixes of long prompts, each ending with a turn."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def look_up(self, prompt: Prompt, model: str, *, writes: bool) -> tuple[int, int]:
        """How many input tokens are read from the cache and written to it; `writes` bills the writing."""
        if prompt.input_tokens < _FEWEST_TOKENS:
            return 0, 0
        digest = hashlib.blake2b(model.encode(), digest_size=16)
        characters, read, last = prompt.tool_characters, 0, 0
        for turn in prompt.turns:
            digest.update(turn.text.encode("utf-8", "replace"))
            characters += len(turn.text)
            tokens = count_tokens(characters) // _STEP * _STEP
            if tokens < _FEWEST_TOKENS:
                continue
            last = tokens
            if digest.digest() in self._seen:
                read = tokens
            self._remember(digest.digest())
        return read, max(0, last - read) if writes else 0

    def _remember(self, prefix: bytes) -> None:
        self._seen[prefix] = None
        if len(self._seen) > _MOST_PREFIXES:
            del self._seen[next(iter(self._seen))]
