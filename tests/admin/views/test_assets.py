"""The files that pages load, through their route."""

import gzip

from tests.admin.site import Site


def test_a_file_comes_compressed_where_that_is_understood(site: Site) -> None:
    url = site.assets.url("app.css")
    plain, compressed = site.browser().get(url), site.browser().get(url, accept_encoding="gzip, br")
    assert plain.body == gzip.decompress(compressed.body)
    assert (plain.header("content-encoding"), compressed.header("content-encoding")) == ("", "gzip")
    assert plain.header("content-type") == compressed.header("content-type") == "text/css; charset=utf-8"


def test_a_file_that_is_not_there_is_not_found(site: Site) -> None:
    assert site.browser().get("/admin/static/x/none.js").status == 404
