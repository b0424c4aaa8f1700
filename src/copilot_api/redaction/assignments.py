"""
Secrets without a form of their own: a value is one because of the name before it (`password=`, `"clientSecret": `).

A name is looked for by the words that are in it; then what is left of the word is read backwards, and what is right of
it must be an assignment of some kind: of a program, a shell, an environment file, YAML, JSON (its quotes escaped any
number of times), XML, a form, a connection string.
"""

import re
from collections.abc import Iterator

from copilot_api.redaction.names import Says, weigh_name
from copilot_api.redaction.plausible import is_code, is_drawn, is_example, is_label, is_name, is_prose, is_random
from copilot_api.redaction.rule import Hit

_WORDS = (
    "passw", "passphrase", "passcode", "pass", "pwd", "secret", "token", "key", "credential", "creds", "auth", "cookie",
    "jwt", "connectionstring", "connection_string", "connstr", "kennwort", "bearer",
)  # fmt: skip
_BEFORE = re.compile(r"[A-Za-z0-9_.\-]{0,48}\Z")
_ASSIGNMENT = re.compile(
    r"""(?P<rest>[A-Za-z0-9_\-]{0,32})"""
    r"""(?:(?P<call>["'\\\]]{0,9}\s{0,4}[,(]\s{0,4})"""
    r"""|(?P<pair>["'\\]{1,9}\s{0,8},?\s{0,8}["'\\]{0,9}value["'\\]{0,9}\s{0,4}[:=]\s{0,4})"""
    r"""|(?P<tag>>)"""
    r"""|(?P<flag>(?<=[A-Za-z])(?:[ ]{1,4}|\+{1,4}|%2[Bb])(?=["']?[^\s=:"']{6,}))"""  # a form has + for a space
    r"""|["'`\\\]\s]{0,9}(?P<type>:\s{0,4}[A-Za-z_\[\]<>|. ]{1,40}=\s{0,4})(?=["'\\])"""
    r"""|["'`\\\])]{0,9}(?P<gap>[ \t]{0,12})(?P<sign>:=|=>|===?|!=|\?=|=|:|%3[aAdD])[ \t]{0,8})"""
    r"""(?:(?P<open>\\{0,15}["'`])(?P<quoted>(?:(?!(?P=open))[^\n\x00]){1,4096}?)(?:(?P=open)|(?=[\n\x00]|\Z))"""
    r"""|(?P<bare>[^\s"'`\x00]{1,1024}))""",
)
_NEXT = re.compile(
    r"&(?:amp;)?[A-Za-z_][\w.\-]{0,40}=|[;,](?=\s|[A-Za-z_][\w .\-]{0,40}=|\Z)|\\{1,8}[nrt\"']|</|[)\]}]+[,;]*\Z|%26"
)
_LEFT_OF_FLAG = re.compile(r"(?<![A-Za-z0-9_\-])--?[A-Za-z][\w\-]*\Z")
_HARDLY_A_WORD = re.compile(r"[0-9]|[^A-Za-z0-9_.\-]")
_PARTS = re.compile(r"[.(\[]")
_ARN = re.compile(r"arn:aws[\w:\-]*\Z")
_ESCAPED = re.compile(r"\\{1,16}(?:u([0-9a-fA-F]{4})|[nrt])")
_TYPED = re.compile(r"\s{0,4}=\s")


def find_assignments(text: str, lowered: str) -> Iterator[Hit]:
    """The values in `text` that a name before them says to be secret. `lowered` is the text in lower case."""
    taken = 0
    for position in _word_positions(lowered):
        if position < taken:
            continue
        found = _ASSIGNMENT.match(text, position)
        if found is None:
            continue
        begin = position - len(_BEFORE.search(text, max(0, position - 48), position).group())  # type: ignore[union-attr]
        hit = _judge(text[begin : found.end("rest")], text, begin, found)
        if hit is not None:
            taken = hit.end
            yield hit


def _word_positions(lowered: str) -> list[int]:
    found: set[int] = set()
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            found.add(at)
            at = lowered.find(word, at + len(word))
    return sorted(found)


def _judge(name: str, text: str, begin: int, found: re.Match[str]) -> Hit | None:
    says = weigh_name(name.strip("-."))
    if says is Says.NOTHING:
        return None
    if found["flag"] is not None and not _LEFT_OF_FLAG.search(text, max(0, begin - 40), found.end("rest")):
        return None
    if found["call"] is not None and text[max(0, begin - 3) : begin].rstrip()[-1:] in ("=", ":"):
        return None  # the name is itself a value: what follows it is the next item of a list
    if found["quoted"] is not None:
        value, start = found["quoted"], found.start("quoted")
        is_plain = found["call"] is None
        secret = _judge_quoted(value, says if is_plain else Says.MAYBE)
    else:
        value, start = found["bare"], found.start("bare")
        if not _may_stand_bare(text, begin, found):
            return None
        is_line = found["gap"] == "" and found["sign"] == "=" and _begins_line(text, begin)
        secret = _judge_bare(value, says, is_line=is_line, is_shouted=name.upper() == name)
    return Hit(start, start + len(secret), "secret", secret) if secret else None


def _may_stand_bare(text: str, begin: int, found: re.Match[str]) -> bool:
    """Whether what stands without quotes may be a value at all, and not a type, a path of names, a tag."""
    value = found["bare"]
    if found["call"] is not None or found["type"] is not None or found["pair"] is not None:
        return False
    if found["tag"] is not None:
        return "</" in value
    if value[0] in "<?" or _ARN.search(text, max(0, begin - 100), begin):
        return False
    is_typed = found["sign"] == ":" and _TYPED.match(text, found.end()) is not None
    return not is_typed or (is_random(value, 12) and not is_name(value))


def _begins_line(text: str, begin: int) -> bool:
    before = text[max(0, begin - 12) : begin].rpartition("\n")[2].strip()
    return before in ("", "export", "set", "ENV", "-", "-e", "ARG", "--env")


def _judge_quoted(value: str, says: Says) -> str:
    """`value` if it is a secret, else nothing."""
    return value if is_secret_value(value, says) else ""


def is_secret_value(value: str, says: Says) -> bool:
    """Whether a value that stands in quotes, or is a string of a document, is what its name says."""
    stripped = value.strip()
    if len(stripped) < 4 or is_example(stripped) or is_label(stripped) or is_prose(stripped):
        return False
    if _is_path(stripped):
        return False
    if says is Says.SURELY:
        return True
    return is_random(_ESCAPED.sub(_read_escaped, stripped) if "\\" in stripped else stripped, 12)


def _read_escaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else " "


def _judge_bare(value: str, says: Says, *, is_line: bool, is_shouted: bool) -> str:
    """What of `value` is a secret: it stands without quotes, so where it ends has to be seen."""
    is_environment = is_line and is_shouted and says is Says.SURELY
    cut = _NEXT.search(value) if says is not Says.SURELY or not is_line or "&" in value else None
    value = value[: cut.start()] if cut is not None else value
    value = value.rstrip("\\") if is_line else value.rstrip(",;)]}>\\")
    if len(value) < 4 or is_example(value) or is_label(value) or _is_path(value):
        return ""
    if value.endswith(":") and weigh_name(value[:-1]) is not Says.NOTHING:
        return ""  # another name: the value is behind that one
    if value.startswith(("http://", "https://")) and not is_line:
        return ""
    if _is_expression(value, is_environment=is_environment):
        return ""
    if says is Says.SURELY:
        return value if is_environment or _HARDLY_A_WORD.search(value) or is_random(value, 16) else ""
    return value if is_random(value, 12) and not is_code(value) else ""


def _is_path(value: str) -> bool:
    return value.startswith(("/", "./", "../", "~/")) and value.count("/") > 1 and not is_random(value, 24)


def _is_expression(value: str, *, is_environment: bool) -> bool:
    """Whether `value` is computed. In an environment file nothing is, so there it has to end like a call, too."""
    if not is_code(value) or is_random(_PARTS.split(value)[-1], 16) or is_drawn(value, is_computed=not is_environment):
        return False
    return not is_environment or value[-1] in ")]}>" or "." in value
