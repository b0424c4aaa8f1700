"""
Forms that do something which must not be done twice: each is sent with a name of its own, and counts once.

A page that shows a new key is the answer to its form, since the key is kept nowhere. Reloaded, the browser sends the
form again; a second click does so too. What was made is shown then, without the secret, and nothing is made anew.
"""

import secrets
from collections import OrderedDict

FIELD = "form_id"
"""The field with the name."""
MOST = 512
"""So many of those sent last are remembered."""


def make_form_id() -> str:
    """A name for a form that is about to be shown."""
    return secrets.token_urlsafe(12)


class SentForms:
    """See the module. Belongs to one event loop; names are told apart by session."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sent: OrderedDict[tuple[str, str], str] = OrderedDict()

    def find(self, session_id: str, form_id: str) -> str | None:
        """Where the form led that was sent before; empty while that is not known yet, None for one that is new."""
        return self._sent.get((session_id, form_id)) if form_id else None

    def begin(self, session_id: str, form_id: str) -> None:
        """Note that a form was sent, before anything of it is done."""
        self.note(session_id, form_id, "")

    def note(self, session_id: str, form_id: str, location: str) -> None:
        """Note where what it did can be seen."""
        if not form_id:
            return
        self._sent[session_id, form_id] = location
        self._sent.move_to_end((session_id, form_id))
        while len(self._sent) > self._most:
            self._sent.popitem(last=False)

    def forget(self, session_id: str, form_id: str) -> None:
        """It did nothing after all: it may be sent again."""
        self._sent.pop((session_id, form_id), None)
