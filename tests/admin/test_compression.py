"""Pages are compressed for whoever takes that, and for nobody else."""

import gzip

import pytest

from copilot_api.admin.compression import LEAST_BYTES, compress, takes_gzip

HTML = ((b"content-type", b"text/html"),)
PAGE = b"<p>a page</p>" * LEAST_BYTES


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.5", "GZIP", "deflate, gzip;q=1"])
def test_whoever_takes_gzip_gets_it(accepted: str) -> None:
    headers, body = compress(HTML, PAGE, accepted)
    assert gzip.decompress(body) == PAGE
    assert len(body) < len(PAGE) / 10
    assert headers == (*HTML, (b"vary", b"accept-encoding"), (b"content-encoding", b"gzip"))


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"])
def test_nobody_else_does_and_caches_are_told_that_it_differs(accepted: str) -> None:
    assert not takes_gzip(accepted)
    assert compress(HTML, PAGE, accepted) == ((*HTML, (b"vary", b"accept-encoding")), PAGE)


def test_what_is_small_is_sent_as_it_is() -> None:
    assert compress(HTML, b"x" * (LEAST_BYTES - 1), "gzip") == (HTML, b"x" * (LEAST_BYTES - 1))
