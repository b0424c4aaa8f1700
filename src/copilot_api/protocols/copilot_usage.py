"""
What Copilot adds to every protocol's answer: `copilot_usage`, its own account of what a call cost.

    {"token_details": [{"token_type", "token_count", …}], "total_nano_aiu"}

`token_type` is `input` (the fresh input only), `cache_read`, `cache_write` or `output`.

One AI credit is 1e9 nano-AIU.
"""

import msgspec


class TokenDetail(msgspec.Struct):
    """How many tokens of one kind; `input` here is the fresh input only."""

    token_type: str = ""
    token_count: int = 0


class CopilotUsage(msgspec.Struct):
    """See the module."""

    token_details: list[TokenDetail] = []
    total_nano_aiu: int | float | None = None

    @property
    def nano_aiu(self) -> int | None:
        """The charge, or None when Copilot did not say."""
        return None if self.total_nano_aiu is None else int(self.total_nano_aiu)

    @property
    def cache_write_tokens(self) -> int:
        """Tokens written to the prompt cache; the chat protocol itself has no place for them."""
        return sum(detail.token_count for detail in self.token_details if detail.token_type == "cache_write")  # noqa: S105
