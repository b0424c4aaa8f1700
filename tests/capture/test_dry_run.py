"""The dry run goes by both engines, and shows no text that a capture would withhold."""

import pytest

from copilot_api.capture.dry_run import run_dry
from copilot_api.errors import BadRequest
from copilot_api.redaction.verifier import find_suspects
from tests.redaction.corpus import BENIGN, SECRETS, Secret, encodings, survives


@pytest.mark.parametrize("secret", SECRETS[::7], ids=lambda secret: secret.family)
def test_no_secret_is_in_what_it_says(secret: Secret) -> None:
    for encoded in encodings(secret):
        document = run_dry(encoded.text.encode(), encoded.media_type).to_document()
        assert survives(secret, str(document)) is None, encoded.name


def test_what_the_verifier_suspects_withholds_the_text() -> None:
    for text in BENIGN:
        found = run_dry(str(text).encode())
        assert (found.text is None) == bool(found.suspicions)
        if found.text is not None:
            assert not find_suspects(found.text)


def test_each_run_has_a_salt_of_its_own() -> None:
    secret = b"ghp_" + b"a1B2c3D4e5F6g7H8i9J0" + b"k1L2m3N4o5P6q7R8"
    one, other = run_dry(secret), run_dry(secret)
    assert one.hits[0].placeholder != other.hits[0].placeholder


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(BadRequest, match="no text"):
        run_dry(b"\x00\x01")
    with pytest.raises(BadRequest, match="no text"):
        run_dry(b"abc", "image/png")
