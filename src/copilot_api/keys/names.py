"""What keys are called: people name them by label, programs by id."""

from collections.abc import Iterable

from copilot_api.keys.models import ANONYMOUS, ApiKey

NO_KEY = "no key"
"""What calls are shown under that no key was recognised for."""


class KeyNames:
    """The names of the keys as they are at one moment."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = {key.id: key for key in keys}

    def find(self, text: str) -> list[str]:
        """
        The ids of those that go by a text: an id, a label, a visible prefix. One that none goes by may be the id of a
        key that is no more.
        """
        return [key.id for key in self._keys.values() if text in {key.id, key.label, key.prefix}] or [text]

    def label(self, key_id: object) -> str:
        """What a key is called; a key that is no more by its id, and none by words."""
        if key_id is None:
            return NO_KEY
        key = self._keys.get(str(key_id))
        return str(key_id) if key is None else key.label

    def is_known(self, key_id: object) -> bool:
        """Whether there is such a key, one with a page of its own."""
        return key_id in self._keys and key_id != ANONYMOUS

    def list_labels(self) -> list[str]:
        """All labels, in order, each once: for suggestions."""
        return sorted({key.label for key in self._keys.values()}, key=str.casefold)
