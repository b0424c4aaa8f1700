"""
`UpstreamTap`: who looks on while one call goes upstream and its answer comes back.

Nothing that a tap does changes the call, and none of its methods raises.
"""

from typing import Protocol

from copilot_api.upstream.transport import Reply


class UpstreamTap(Protocol):
    """Looks on at the attempts of one call, one after the other."""

    def sending(self, url: str, headers: bytes, body: bytes) -> None:
        """An attempt begins: this is about to be sent, with the credential in it. `headers` are lines with CRLF."""
        ...

    def follow(self, reply: Reply) -> Reply:
        """Its answer's head is here; what is given back is read in its place."""
        ...

    def failed(self, error: BaseException) -> None:
        """It has ended without an answer."""
        ...
