"""What a secret looks like in a text that is not encoded: by how it begins, by its name, by its place."""

import re
from collections.abc import Iterator

from copilot_api.redaction.verifier_chance import looks_random
from copilot_api.redaction.verifier_views import is_encoded_text

Sign = tuple[str, int, int]
"""A kind, from where, to where."""
KINDS = ("prefix", "token", "assignment", "key-block", "userinfo", "authorization", "cookie", "remainder")


def find_signs(text: str) -> Iterator[Sign]:
    """All signs of a secret in `text`, in no order."""
    for find in _FINDERS:
        yield from find(text)


_WELL_KNOWN = re.compile(
    r"gh[pousr]_|github_pat_|sk-ant-|sk-proj-|sk-svcacct-|sk-admin-|sk-or-v1-|sk-cap-|T3BlbkFJ"
    r"|GOCSPX-|xox[abeoprs]-|xapp-\d-|[sr]k_(?:live|test|prod)_|whsec_|gl(?:pat|dt|rt|ptt|cbt|ft|soat|oas|imt|agent)-"
    r"|do[opr]_v1_|hv[bs]\.|sbp_|pypi-AgE|rubygems_|dckr_(?:pat|oat)_|ATATT3|ATBB|sntry[su]_|glsa_|glc_|PMAK-|lin_api_"
    r"|shp(?:at|ca|pa|ss)_|AGE-SECRET-KEY-1|tskey-[a-z]{2,10}-|sq0[a-z]{3}-|NRAK-|figd_|tvly-|dp\.(?:pt|st|ct|sa)\."
    r"|pscale_[a-z]{2,10}_|dt0[a-z]\d\d\.|discord(?:app)?\.com/api/webhooks/\d{1,24}/"
    r"|hooks\.slack\.com/(?:services|workflows)/(?:\w{6,16}/){0,2}"
    r"|(?<![A-Za-z0-9])(?:sk-|hf_|r8_|ntn_|secret_|npm_|gsk_|xai-|pplx-|SG\.|ya29\.|1//0|pul-|nfp_|fo1_|EAA[A-Z]|key-)"
)
_TAIL = re.compile(r"[A-Za-z0-9_.~-]{16,96}")
_KEY = re.compile(
    r"(?<![A-Za-z0-9+/])(?:MII[A-Z][A-Za-z0-9+/]{1,2}IBA[AD]|b3BlbnNzaC1rZXktdjEA|MHcCAQEEI)[A-Za-z0-9+/\s\\]{24,96}"
)
_WHOLE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|AIza[\w-]{35}|dapi[0-9a-f]{32}(?:-\d)?|Iv1\.[0-9a-f]{16}"
    r"|Iv23[A-Za-z0-9]{14,20}|\d{8,10}:AA[\w-]{32,33}|[\w.~-]{3}\dQ~[\w.~-]{31,34})(?![A-Za-z0-9])"
)
NOISE = 100
"""Characters of base64 before a prefix that make it one by accident."""
_BREAK = re.compile(r"[^A-Za-z0-9+/_-]")
_SIGNED = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{16,}")
_COPILOT = re.compile(r"(?<![A-Za-z0-9])tid=[0-9a-f]{16,64}|:[0-9a-f]{64}(?![0-9a-f])")


def _find_prefixes(text: str) -> Iterator[Sign]:
    for found in _WELL_KNOWN.finditer(text):
        tail = _TAIL.match(text, found.end())
        if tail is not None and looks_random(tail.group()) and not _is_in_noise(text, found.start()):
            yield "prefix", found.start(), tail.end()


def _is_in_noise(text: str, start: int) -> bool:
    """Whether it stands far inside of an unbroken run: every prefix comes up in enough encrypted reasoning."""
    before = text[max(0, start - NOISE) : start]
    return len(before) == NOISE and _BREAK.search(before) is None and looks_random(before)


def _find_tokens(text: str) -> Iterator[Sign]:
    for found in _WHOLE.finditer(text):
        if looks_random(found.group()[4:]) and not _is_in_noise(text, found.start()):
            yield "token", *found.span()
    for found in _KEY.finditer(text):
        yield "key-block", *found.span()
    for found in _SIGNED.finditer(text):
        yield "token", *found.span()
    for found in _COPILOT.finditer(text):
        if found.group()[0] == "t" or "exp=" in text[max(0, found.start() - 400) : found.start()]:
            yield "token", *found.span()


_NAME = re.compile(
    r"(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential|api[_-]?key|access[_-]?key|account[_-]?key|auth[_-]?key"
    r"|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|shared[_-]?key|subscription[_-]?key|[?&](?:key|sig|code)(?==))(?P<rest>[\w.-]{0,32})",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"""(?:["'\s,]{1,8}value["'\s]{0,4}[:=]\s{0,4}|\s{0,4}:\s{0,4}[\w.\[\] |]{1,32}\s=\s{0,4}"""
    r"""|["'`\])}]{0,4}[\s+]{0,8}(?:=>|:=|==?|:|>)[\s+]{0,8}|["'`],\s{0,4}(?=["'`])|\s{1,4}is\s{1,4})"""
    r"""(?:[\[({]{0,2}["'`]{1,3}|[$@])?"""
)
_GIVEN = re.compile(r"""[\s=+]{1,4}["'`]{0,2}""")
_VALUE = re.compile(r"""[^\s"'`,;&<>(){}\[\]\\\ue000]{8,128}+(?!\()""")
_NO_SECRET_AFTER = re.compile(
    r"(?:name|ref|id|ids|type|path|file|url|uri|arn|count|limit|hash|sum|digest|sha\d*|version|index|length|size|prefix|class|manager|reset)(?:_[a-z_]{1,24})?$",
    re.IGNORECASE,
)
_NO_SECRET_BEFORE = re.compile(
    r"(?:page|next|prev|previous|continuation|sync|cancel\w*|max|min|idempotency)[_-]?$", re.IGNORECASE
)
_FLAG = re.compile(r"(?<![\w-])--?[\w-]*$")
_NEXT_ITEM = re.compile(r"""["'`],""")
_BARE = re.compile(r"""["'`][\w.-]*$""")
"""Before a name that is all there is of its string: only such a one names the item that follows."""
# A path, a name of something, a time; a URL, be it behind the end of another in joined pieces; or a value in a URL's
# encoding, which is looked at with that undone.
_NO_VALUE = re.compile(
    r"(?:[^%]*%[0-9A-Fa-f]{2}|[a-z][a-z0-9+.-]*:/|[0-9][a-z0-9+.-]{0,20}://|\.{0,2}/|~/|[A-Za-z]:\\|arn:|sha\d{3}[:-]|\d{4}-\d\d-\d\dT)",
    re.IGNORECASE,
)


def _find_assignments(text: str) -> Iterator[Sign]:
    for name in _NAME.finditer(text):
        before = text[max(0, name.start() - 24) : name.start()]
        if _NO_SECRET_AFTER.search(name["rest"]) or _NO_SECRET_BEFORE.search(before):
            continue
        way = _ASSIGNED.match(text, name.end())
        if way is None and _FLAG.search(before):
            way = _GIVEN.match(text, name.end())
        if way is not None and _NEXT_ITEM.match(way.group()) and not _BARE.search(before):
            continue
        value = _VALUE.match(text, way.end()) if way is not None else None
        if value is not None and not _NO_VALUE.match(value.group()) and looks_random(value.group()):
            yield "assignment", *value.span()


_BLOCK_BEGIN = re.compile(r"-----BEGIN[ +][A-Z0-9 +]{0,24}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----")
_BLOCK_END = re.compile(r"-----END[ +][A-Z0-9 +]{0,24}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----")
_FIRST_LINE = re.compile(
    r"""(?:[\s"'+>|#*]|\\[nr]|[A-Za-z-]{3,24}:[ ][^\r\n\\]{0,80}(?=[\r\n\\])){0,16}([A-Za-z0-9+/]{20,76})"""
)
_LAST_LINE = re.compile(
    r"""([A-Za-z0-9+/]{20,76}(?:(?:\s|\\[nr]){1,4}[A-Za-z0-9+/]{1,76})?)={0,2}(?:[\s"'+]|\\[nr]){0,8}"""
    r"""(?:=[A-Za-z0-9+/]{4}(?:\s|\\[nr]){0,4})?$"""
)
_LINES_LOOKED_AT = 180


def _find_key_blocks(text: str) -> Iterator[Sign]:
    for begin in _BLOCK_BEGIN.finditer(text):
        line = _FIRST_LINE.match(text, begin.end())
        if line is not None and looks_random(line.group(1)):
            yield "key-block", *line.span(1)
    for end in _BLOCK_END.finditer(text):
        offset = max(0, end.start() - _LINES_LOOKED_AT)
        line = _LAST_LINE.search(text[offset : end.start()])
        if line is not None and looks_random(line.group(1)):
            yield "key-block", offset + line.start(1), offset + line.end(1)


_USERINFO = re.compile(r"://[^\s/:@\"'<>\\]{0,128}+:([^\s/@\"'<>{}$\\\ue000]{6,256}+)@")
_CURL_USER = re.compile(r"""(?:\s-u|--user)[\s=]{1,4}["']?[^\s:"']{1,64}:([^\s"'$\ue000]{6,128})""")
_SCHEME = re.compile(r"(?<![A-Za-z0-9])(?:bearer|basic)[\s+]{1,4}([A-Za-z0-9+/=_.~-]{16,256})", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"""authorization["'\]]{0,3}\s{0,4}[:=,]\s{0,4}["'`]{0,2}(?:[A-Za-z-]{3,20}\s{1,4})?([A-Za-z0-9+/=_.~-]{16,256})""",
    re.IGNORECASE,
)


def _find_userinfo(text: str) -> Iterator[Sign]:
    for pattern in (_USERINFO, _CURL_USER):
        for found in pattern.finditer(text):
            if looks_random(found.group(1)):
                yield "userinfo", *found.span(1)


def _find_authorization(text: str) -> Iterator[Sign]:
    for pattern in (_SCHEME, _AUTHORIZATION):
        for found in pattern.finditer(text):
            if looks_random(found.group(1)):
                yield "authorization", *found.span(1)


_COOKIE = re.compile(r"""cookie["'\]]{0,3}\s{0,4}[:=,]\s{0,4}([^\r\n"']{20,4096})""", re.IGNORECASE)
_CRUMB = re.compile(r"=([^\s;,=\ue000]{20,256})")


def _find_cookies(text: str) -> Iterator[Sign]:
    for found in _COOKIE.finditer(text):
        for crumb in _CRUMB.finditer(found.group(1)):
            if looks_random(crumb.group(1)):
                yield "cookie", found.start(1) + crumb.start(1), found.start(1) + crumb.end(1)


_REMAINDER = re.compile(r"(?<=\ue000)[A-Za-z0-9+/_-]{12,96}|(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,96}+(?=\ue000)")


def _find_remainders(text: str) -> Iterator[Sign]:
    """What stands next to a placeholder and is no text, nor one in base64 or in digits: there it was cut out of."""
    for found in _REMAINDER.finditer(text):
        start, end = found.span()
        start += text[max(0, start - 1) : start] == "\\"  # the letter of an escape
        if looks_random(text[start:end]) and not is_encoded_text(text[start:end]):
            yield "remainder", start, end


_FINDERS = (
    _find_prefixes,
    _find_tokens,
    _find_assignments,
    _find_key_blocks,
    _find_userinfo,
    _find_authorization,
    _find_cookies,
    _find_remainders,
)
