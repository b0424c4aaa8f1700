"""Reasoning carriers in another protocol's clothes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.carriers import is_packed, pack, unpack
from copilot_api.protocols.conversation import Carrier

CARRIERS = st.builds(
    Carrier,
    kind=st.sampled_from(["rs", "an", "rd", "ro"]),
    data=st.text(),
    id=st.text(),
    text=st.text(),
    model=st.text(),
)


@given(CARRIERS)
def test_what_is_packed_comes_back_and_fits_any_field(carrier: Carrier) -> None:
    packed = pack(carrier)
    assert unpack(packed) == carrier
    assert is_packed(packed)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", packed)


@pytest.mark.parametrize(
    "text", ["", "gw1.", "gw1.an", "gw1.an.!", "gw1.zz.e30", "gw1.an.W10", "EswBCmcI", "gw2.an.e30"]
)
def test_anything_else_is_none_of_ours(text: str) -> None:
    assert unpack(text) is None


@given(st.text())
def test_no_text_whatsoever_breaks_it(text: str) -> None:
    assert unpack(text) is None or text.startswith("gw1.")
    unpack("gw1.an." + text)
