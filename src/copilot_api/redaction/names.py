"""What a name says about its value: of a header, a parameter, a JSON key, a variable."""

import re
from enum import IntEnum

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class Says(IntEnum):
    """How sure a name is that its value is secret."""

    NOTHING = 0
    MAYBE = 1
    """`token`, `auth`: also the names of what is no secret, so the value has to look like one."""
    SURELY = 2


_SURE = frozenset((
    "password", "passwd", "passphrase", "passcode", "passwort", "pwd", "secret", "secrets", "passwords",
    "credential", "credentials", "creds", "authorization", "cookie", "cookies", "apikey", "apisecret", "apitoken",
    "accesskey", "secretkey", "privatekey", "clientsecret", "authtoken", "accesstoken", "refreshtoken",
    "sessiontoken", "bearertoken", "connectionstring", "connstr", "idtoken", "signingkey", "encryptionkey",
    "masterkey", "accountkey", "sharedkey", "apikeys", "xapikey", "authkey", "appsecret", "appkey", "dbpassword",
    "dbpass", "userpassword", "secretaccesskey", "accesskeyid", "awssecretaccesskey", "webhooksecret",
    "secretstring", "kennwort", "contrasena",
))  # fmt: skip
_MAYBE = frozenset(
    ["token", "auth", "pass", "jwt", "bearer", "otp", "pat", "sas", "mnemonic", "pin", "session", "sessionid"]
)
_KEYS = frozenset((
    "api", "access", "secret", "private", "signing", "encryption", "encrypt", "master", "account", "shared", "auth",
    "deploy", "service", "storage", "subscription", "license", "webhook", "session", "admin", "app", "application",
    "function", "host", "server", "client", "consumer", "ssh", "gpg", "pgp", "hmac", "aes", "rsa", "jwt", "cookie",
    "security", "management", "project", "user", "ingest", "integration",
))  # fmt: skip
_NOT_TOKENS = frozenset((
    "max", "min", "num", "total", "prompt", "completion", "input", "output", "cached", "reasoning", "audio",
    "image", "text", "stop", "eos", "bos", "pad", "unk", "mask", "special", "next", "prev", "previous", "page",
    "continuation", "first", "last", "per", "start", "end", "think", "tool", "cls", "sep", "sync", "resume",
    "count", "new", "budget", "thinking", "cancellation", "syntax",
))  # fmt: skip
_ABOUT = frozenset((
    "type", "types", "name", "names", "id", "ids", "count", "counts", "length", "len", "size", "limit", "limits",
    "url", "uri", "urls", "uris", "endpoint", "endpoints", "path", "paths", "file", "files", "filename", "dir",
    "directory", "hint", "policy", "field", "fields", "label", "expires", "expiry", "expiration", "expired", "at",
    "in", "ttl", "age", "enabled", "required", "env", "var", "variable", "format", "algorithm", "alg", "version",
    "status", "prefix", "suffix", "regex", "pattern", "description", "title", "index", "usage", "details", "budget",
    "scheme", "method", "mode", "manager", "provider", "store", "service", "class", "helper", "reset", "rules",
    "kind", "ref", "arn", "location", "page", "placeholder", "input", "button", "form", "error", "errors",
    "message", "schema", "strength", "checker", "validator", "generator", "lifetime", "duration", "created",
    "updated", "issuer", "audience", "scope", "scopes", "template", "example", "docs", "help", "icon", "text",
    "source", "origin", "target", "domain", "host", "port", "region", "role", "roles", "group", "owner", "rotation",
    "configured", "present", "exists", "valid", "management", "support", "supported", "encoding", "handler",
    "callback", "middleware", "info", "metadata", "options", "config", "settings", "parameters", "params", "args",
    "request", "response", "result", "results", "list", "map", "set", "table", "column", "prompt",
))  # fmt: skip
_HARMLESS_HEADERS = re.compile(
    r"x-request-id|x-ratelimit-.*|anthropic-ratelimit-.*|ratelimit-.*|x-goog-request-.*|idempotency-key|x-idempotency-key|"
    r"access-control-.*|content-security-policy.*|sec-websocket-key|sec-websocket-accept|x-stainless-.*|session-id|"
    r"x-session-id|x-session-affinity|x-claude-code-session-id|x-client-session-id|vscode-sessionid|x-copilot-session-id|"
    r"www-authenticate|x-auth-type|x-token-count|x-.*-tokens(?:-.*)?|surrogate-key|x-cache-key|sec-session-.*|"
    r"authority|:authority|x-author.*|author|x-key-id|proxy-authenticate|x-interaction-id|x-keyboard.*|x-monkey.*"
)
_SECRET_HEADERS = re.compile(
    r"token|secret|key|passw|passphrase|auth|session|credential|cookie|signature|jwt|bearer|api-?key|csrf|xsrf|otp"
    r"|x-amz-security|x-forwarded-client-cert|x-goog-iap|x-github-otp|cf-access-client|webhook"
)
_PARAMETERS = frozenset((
    "key", "code", "sig", "signature", "token", "sign", "assertion", "auth", "password", "pwd", "pass", "secret",
    "apikey", "state", "ticket", "jwt", "session", "sid", "nonce", "hmac", "xamzsignature", "xamzcredential",
    "xamzsecuritytoken", "xgoogsignature", "xgoogcredential", "googleaccessid", "awsaccesskeyid", "clientassertion",
    "codeverifier", "devicecode", "usercode", "otp", "hash", "samlresponse", "samlrequest",
))  # fmt: skip


def split_words(name: str) -> list[str]:
    """The words of a name in lower case, however they are put together: `clientSecret`, `CLIENT-SECRET`."""
    return [word.lower() for word in _WORD.findall(name)]


def weigh_name(name: str) -> Says:
    """What the name of a value in a text or document says."""
    words = split_words(name[-64:])
    if not words:
        return Says.NOTHING
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    joined = before + last
    if "".join(words[-3:]) in _SURE or joined in _SURE:
        return Says.SURELY if before != "public" else Says.NOTHING
    if last in _SURE:
        return Says.SURELY
    if last in ("token", "tokens"):
        return _weigh_token(last, before)
    if last in ("key", "keys"):
        return Says.SURELY if before in _KEYS and "public" not in words else Says.NOTHING
    if last in ("pass", "pw"):
        return Says.SURELY if before else Says.MAYBE if last == "pass" else Says.SURELY
    if last in _MAYBE and last not in ("session", "sessionid"):
        return Says.MAYBE
    if last in _ABOUT:
        return Says.NOTHING
    return Says.MAYBE if _ends_secretly(last) else Says.NOTHING


def _weigh_token(last: str, before: str) -> Says:
    if before in _NOT_TOKENS or (last == "tokens" and before not in ("access", "refresh", "auth", "api", "bearer")):
        return Says.NOTHING
    return (
        Says.SURELY
        if before in ("access", "auth", "refresh", "api", "bearer", "secret", "session", "id")
        else Says.MAYBE
    )


def _ends_secretly(word: str) -> bool:
    """Whether a word that is written as one has a secret at its end: `dbpassword`, `githubtoken`."""
    return word.endswith(("password", "passwd", "secret", "apikey", "token", "passphrase", "secretkey", "accesskey"))


def is_secret_header(name: str) -> bool:
    """Whether the value of this header is never kept."""
    lowered = name.strip().lower()
    return _SECRET_HEADERS.search(lowered) is not None and _HARMLESS_HEADERS.fullmatch(lowered) is None


def is_secret_parameter(name: str) -> bool:
    """Whether the value of this parameter of an address or a form is never kept."""
    plain = "".join(split_words(name))
    return plain in _PARAMETERS or weigh_name(name) is not Says.NOTHING
