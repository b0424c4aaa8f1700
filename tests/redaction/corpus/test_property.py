"""More secrets than the corpus lists, in more disguises than it names."""

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import find_suspects
from tests.redaction.corpus import BENIGN, DIALECTS, FAMILIES, Secret, make, split, survives
from tests.redaction.corpus.disguises import AFTER, BEFORE, DISGUISES

secrets = st.builds(make, st.sampled_from(FAMILIES), st.integers(10, 10**6))
before_it, after_it = st.sampled_from(BEFORE), st.sampled_from(AFTER)
disguises = st.lists(st.sampled_from(DISGUISES), max_size=3)
repeatable = settings(derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""The same examples in each run; `everything` draws others."""


@repeatable
@given(secrets, before_it, after_it, disguises)
def test_no_secret_survives_in_any_disguise(
    secret: Secret, before: str, after: str, steps: list[Callable[[str], str]]
) -> None:
    text = f"{before}{secret.value}{after}"
    for step in steps:
        text = step(text)
    body = json.dumps({"messages": [{"role": "user", "content": text}]})
    output = Redactor(b"salt").redact_body(body.encode(), "application/json")
    assert survives(secret, output) is None
    json.loads(output)


@repeatable
@given(secrets, before_it, after_it, st.sampled_from(DIALECTS), st.sets(st.integers(1, 400), max_size=40))
def test_no_secret_survives_in_a_stream(secret: Secret, before: str, after: str, dialect: str, cuts: set[int]) -> None:
    stream = split(f"{before}{secret.value}{after}", dialect, sorted(cuts))
    assert survives(secret, Redactor(b"salt").redact_stream(stream)) is None


@repeatable
@given(st.lists(st.sampled_from(BENIGN), max_size=6), secrets)
def test_look_alikes_beside_a_secret_are_left_alone(texts: list[str], secret: Secret) -> None:
    body = json.dumps([*texts, secret.value])
    output = Redactor(b"salt").redact_body(body.encode(), "application/json")
    assert json.loads(output)[:-1] == texts
    assert not find_suspects(output)


@repeatable
@given(st.text(max_size=400))
def test_any_text_can_be_looked_through(text: str) -> None:
    for suspect in find_suspects(text):
        assert 0 <= suspect.offset < suspect.offset + suspect.length <= len(text)
