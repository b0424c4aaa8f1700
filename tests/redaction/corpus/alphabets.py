"""Characters that secrets are made of, and a source of chance that gives the same ones in every run."""

import base64
import random
import string

HEX = "0123456789abcdef"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
WORD = string.ascii_letters + string.digits
URL = WORD + "-_"
BASE64 = WORD + "+/"
PASSWORD = WORD + "!#*+-_.~"


class Chance(random.Random):
    """Chance with a seed: the corpus is the same wherever it is made."""

    def some(self, alphabet: str, length: int) -> str:
        """
        So many characters of `alphabet`, not fewer than a third of them different, with a letter and two digits where
        there are any: what a key generator gives nearly always, and what nobody could tell from a word otherwise.
        """
        fewest = 2 if length >= 8 else 0
        while True:
            text = "".join(self.choices(alphabet, k=length))
            digits = sum(character.isdigit() for character in text)
            if len(set(text)) * 3 >= min(length, 24) and fewest <= digits <= length - fewest and text[-1].isalnum():
                return text

    def json_part(self, text: str) -> str:
        """One part of a JSON Web Token."""
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def base64_lines(self, length: int, prefix: str = "") -> str:
        """The inside of a key block: lines of 64 characters."""
        text = prefix + self.some(BASE64, length)
        return "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
