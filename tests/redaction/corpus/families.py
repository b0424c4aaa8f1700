"""
The table of families: what kinds of secrets there are, and how one of each looks.

None of them is real: each is made by chance when the tests run, after the shape that its issuer documents. And each is
put together from parts, so that no secret scanner finds one in this file and blocks a push of the repository.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.redaction.corpus.alphabets import BASE32, BASE64, HEX, LOWER, PASSWORD, UPPER, URL, WORD, Chance

Made = tuple[str, str]
"""A secret as it stands in a text, and the part of it that is chance: what must not be seen anywhere."""
VALUES = 10
"""How many secrets each family has."""


@dataclass(frozen=True)
class Family:
    """One kind of secret."""

    name: str
    make: Callable[[Chance], Made]


def _prefixed(prefix: str, alphabet: str, length: int, end: str = "") -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        part = chance.some(alphabet, length)
        return prefix + part + end, part

    return make


def _assigned(before: str, alphabet: str, length: int, after: str = "") -> Callable[[Chance], Made]:
    """A secret that is one by its name only: the name belongs to the value."""
    return _prefixed(before, alphabet, length, after)


def _github_fine(chance: Chance) -> Made:
    part = f"{chance.some(WORD, 22)}_{chance.some(WORD, 59)}"
    return "github" + "_pat_" + part, part


def _copilot(chance: Chance) -> Made:
    part = chance.some(HEX, 64)
    tid = chance.some(HEX, 32)
    return (
        f"tid={tid};exp=17{chance.randrange(10**7, 10**8)};sku=copilot_for_business_seat;st=dotcom;chat=1;8kp=1:{part}",
        part,
    )


def _copilot_tid(chance: Chance) -> Made:
    value, _ = _copilot(chance)
    return value, value[4:36]


def _jwt(algorithm: str, length: int) -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        head = chance.json_part(json.dumps({"alg": algorithm, "typ": "JWT"}, separators=(",", ":")))
        body = chance.json_part(json.dumps({"sub": chance.some(LOWER, 12), "exp": 1790000000}, separators=(",", ":")))
        part = chance.some(URL, length)
        return f"{head}.{body}.{part}", part

    return make


def _openai_old(chance: Chance) -> Made:
    first, second = chance.some(WORD, 20), chance.some(WORD, 20)
    return "sk" + "-" + first + "T3Blbk" + "FJ" + second, first


def _openai(kind: str) -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        first, second = chance.some(URL, 74), chance.some(URL, 74)
        return f"sk-{kind}-" + first + "T3Blbk" + "FJ" + second, second

    return make


def _slack(kind: str) -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        part = chance.some(WORD, 24)
        numbers = f"{chance.randrange(10**11, 10**12)}-{chance.randrange(10**12, 10**13)}"
        return f"xo{kind}-{numbers}-{part}", part

    return make


def _slack_app(chance: Chance) -> Made:
    part = chance.some(HEX, 64)
    return f"xa{'pp'}-1-A{chance.some(UPPER, 10)}-{chance.randrange(10**12, 10**13)}-{part}", part


def _slack_hook(chance: Chance) -> Made:
    part = chance.some(WORD, 24)
    return f"https://hooks.{'slack'}.com/services/T{chance.some(UPPER, 10)}/B{chance.some(UPPER, 10)}/{part}", part


def _discord_hook(chance: Chance) -> Made:
    part = chance.some(URL, 68)
    return f"https://{'discord'}.com/api/webhooks/{chance.randrange(10**17, 10**18)}/{part}", part


def _telegram(chance: Chance) -> Made:
    part = chance.some(URL, 32)
    return f"{chance.randrange(10**9, 10**10)}:AA{'H'}{part}", part


def _sendgrid(chance: Chance) -> Made:
    part = chance.some(URL, 43)
    return f"S{'G'}.{chance.some(URL, 22)}.{part}", part


def _azure_ad(chance: Chance) -> Made:
    part = chance.some(WORD, 31)
    return f"AZURE_CLIENT_SECRET={chance.some(WORD, 3)}8Q~{part}", part


def _key_block(kind: str, prefix: str, length: int) -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        dashes = "-" * 5
        lines = chance.base64_lines(length, prefix)
        value = f"{dashes}BEGIN {kind}{dashes}\n{lines}\n{dashes}END {kind}{dashes}"
        return value, lines[len(prefix) :]

    return make


def _pgp_block(chance: Chance) -> Made:
    dashes, kind = "-" * 5, "PGP PRIVATE " + "KEY BLOCK"
    lines = chance.base64_lines(600)
    check = "".join(chance.choices(BASE64, k=4))
    return f"{dashes}BEGIN {kind}{dashes}\nVersion: GnuPG v2\n\n{lines}\n={check}\n{dashes}END {kind}{dashes}", lines


def _url(scheme: str, rest: str) -> Callable[[Chance], Made]:
    def make(chance: Chance) -> Made:
        part = chance.some(WORD + "-_.~", 20)
        return f"{scheme}://svc_{chance.some(LOWER, 5)}:{part}@{rest}", part

    return make


def _token_url(chance: Chance) -> Made:
    part = chance.some(WORD, 32)
    return f"https://x-access-token:{part}@git.corp.example/acme/app.git", part


def _basic(chance: Chance) -> Made:
    part = base64.b64encode(f"svc-{chance.some(LOWER, 4)}:{chance.some(PASSWORD, 20)}".encode()).decode().rstrip("=")
    return f"Authorization: Basic {part}", part[12:]


def _cookie(chance: Chance) -> Made:
    part = chance.some(URL, 43)
    return f"Cookie: theme=dark; session={part}; lang=en", part


def _sas(chance: Chance) -> Made:
    part = chance.some(WORD, 43)
    url = f"https://acct{chance.some(LOWER, 5)}.blob.core.windows.net/c/b.txt?sv=2022-11-02&sr=b&sp=r&se=2026-12-31T00%3A00%3A00Z"
    return f"{url}&sig={part}%3D", part


def _cloud_account(chance: Chance) -> Made:
    """A Google service account: the key stands in a JSON string, its line ends escaped."""
    key, lines = _key_block("PRIVATE " + "KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 700)(chance)
    account = {
        "type": "service_account",
        "private_key_id": chance.some(HEX, 40),
        "private_key": key + "\n",
        "client_id": "1",
    }
    return json.dumps(account), lines


FAMILIES = [
    # GitHub and Copilot
    Family("github-classic", _prefixed("gh" + "p_", WORD, 36)),
    Family("github-oauth", _prefixed("gh" + "o_", WORD, 36)),
    Family("github-user", _prefixed("gh" + "u_", WORD, 36)),
    Family("github-server", _prefixed("gh" + "s_", WORD, 36)),
    Family("github-refresh", _prefixed("gh" + "r_", WORD, 76)),
    Family("github-fine", _github_fine),
    Family("github-client-old", _prefixed("Iv" + "1.", HEX, 16)),
    Family("github-client", _prefixed("Iv" + "23", WORD, 16)),
    Family("copilot-signature", _copilot),
    Family("copilot-tid", _copilot_tid),
    Family("jwt-hs256", _jwt("HS256", 43)),
    Family("jwt-rs256", _jwt("RS256", 342)),
    # Model vendors, and this gateway
    Family("gateway", _prefixed("sk-" + "cap-", BASE32, 52)),
    Family("openai-old", _openai_old),
    Family("openai-project", _openai("proj")),
    Family("openai-service", _openai("svcacct")),
    Family("openai-admin", _openai("admin")),
    Family("sk-other", _prefixed("s" + "k-", LOWER, 32)),
    Family("anthropic", _prefixed("sk-" + "ant-api03-", URL, 93, "AA")),
    Family("anthropic-admin", _prefixed("sk-" + "ant-admin01-", URL, 93, "AA")),
    Family("anthropic-oauth", _prefixed("sk-" + "ant-oat01-", URL, 93, "AA")),
    Family("openrouter", _prefixed("sk-" + "or-v1-", HEX, 64)),
    Family("groq", _prefixed("gs" + "k_", WORD, 52)),
    Family("xai", _prefixed("xa" + "i-", WORD, 80)),
    Family("perplexity", _prefixed("pp" + "lx-", WORD, 48)),
    Family("replicate", _prefixed("r" + "8_", WORD, 37)),
    Family("hugging-face", _prefixed("h" + "f_", WORD, 34)),
    # Clouds
    Family("aws-id", _prefixed("AK" + "IA", UPPER, 16)),
    Family("aws-temporary-id", _prefixed("AS" + "IA", UPPER, 16)),
    Family("aws-secret", _assigned("aws_secret_access_key = ", BASE64, 40)),
    Family("aws-session", _assigned("AWS_SESSION_TOKEN=", BASE64, 300)),
    Family("google-key", _prefixed("AI" + "za", URL, 35)),
    Family("google-access", _prefixed("ya" + "29.", URL, 120)),
    Family("google-client", _prefixed("GOC" + "SPX-", URL, 28)),
    Family("google-refresh", _prefixed("1/" + "/0", URL, 60)),
    Family("google-account", _cloud_account),
    Family(
        "azure-storage",
        _assigned("AccountName=acct;Account" + "Key=", BASE64, 86, "==;EndpointSuffix=core.windows.net"),
    ),
    Family("azure-ad", _azure_ad),
    Family("azure-openai", _assigned("AZURE_OPENAI_API_KEY=", HEX, 32)),
    Family("azure-signature", _sas),
    Family("digitalocean", _prefixed("dop" + "_v1_", HEX, 64)),
    Family("databricks", _prefixed("da" + "pi", HEX, 32)),
    Family("vault", _prefixed("hv" + "s.", URL, 90)),
    Family("supabase", _prefixed("sb" + "p_", HEX, 40)),
    # Code, packages, builds
    Family("gitlab", _prefixed("gl" + "pat-", URL, 20)),
    Family("gitlab-deploy", _prefixed("gl" + "dt-", URL, 20)),
    Family("npm", _prefixed("np" + "m_", WORD, 36)),
    Family("npm-line", _assigned("//registry.npmjs.org/:_auth" + "Token=", URL, 36)),
    Family("pypi", _prefixed("py" + "pi-AgEIcHlwaS5vcmc", URL, 90)),
    Family("rubygems", _prefixed("ruby" + "gems_", HEX, 48)),
    Family("docker", _prefixed("dckr" + "_pat_", URL, 27)),
    Family("atlassian", _prefixed("ATA" + "TT3xFfGF0", URL, 180, "=1A2B3C4D")),
    Family("sentry", _prefixed("snt" + "ryu_", HEX, 64)),
    Family("grafana", _prefixed("gls" + "a_", WORD, 32, "_1a2b3c4d")),
    Family("postman", _prefixed("PM" + "AK-", HEX, 24, "-" + "0a1b2c3d4e5f60718293a4b5c6d7e8f901")),
    Family("linear", _prefixed("lin" + "_api_", WORD, 40)),
    Family("notion", _prefixed("nt" + "n_", WORD, 46)),
    # Talk and money
    Family("slack-bot", _slack("xb")),
    Family("slack-user", _slack("xp")),
    Family("slack-app", _slack_app),
    Family("slack-hook", _slack_hook),
    Family("discord-hook", _discord_hook),
    Family("telegram", _telegram),
    Family("sendgrid", _sendgrid),
    Family("stripe", _prefixed("sk" + "_live_", WORD, 99)),
    Family("stripe-test", _prefixed("sk" + "_test_", WORD, 24)),
    Family("stripe-restricted", _prefixed("rk" + "_live_", WORD, 99)),
    Family("stripe-hook", _prefixed("wh" + "sec_", WORD, 32)),
    Family("shopify", _prefixed("shp" + "at_", HEX, 32)),
    # Keys in blocks
    Family("key-rsa", _key_block("RSA PRIVATE " + "KEY", "MIIEpAIBAAKCAQEA", 780)),
    Family("key-pkcs8", _key_block("PRIVATE " + "KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 800)),
    Family("key-ec", _key_block("EC PRIVATE " + "KEY", "MHcCAQEEI", 150)),
    Family("key-openssh", _key_block("OPENSSH PRIVATE " + "KEY", "b3BlbnNzaC1rZXktdjEA", 380)),
    Family("key-encrypted", _key_block("ENCRYPTED PRIVATE " + "KEY", "MIIFHDBOBgkqhkiG9w0BBQ0w", 700)),
    Family("key-pgp", _pgp_block),
    Family("key-age", _prefixed("AGE-SECRET-" + "KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
    # Credentials by their place
    Family("url-postgres", _url("postgresql", "db.corp.example:5432/app")),
    Family("url-mysql", _url("mysql", "10.0.0.7/app")),
    Family("url-mongodb", _url("mongodb+srv", "cluster0.a1b2c.mongodb.net/?retryWrites=true")),
    Family("url-redis", _url("rediss", "cache.corp.example:6380/0")),
    Family("url-https", _url("https", "registry.corp.example/simple/")),
    Family("url-git", _token_url),
    Family("bearer-opaque", _assigned("Authorization: Bearer ", URL, 43)),
    Family("bearer-hex", _assigned("Authorization: bearer ", HEX, 40)),
    Family("basic", _basic),
    Family("cookie", _cookie),
    Family("header-key", _assigned("x-api-key: ", WORD, 32)),
    # Credentials by their name
    Family("named-password", _assigned("DB_PASSWORD=", PASSWORD, 20)),
    Family("named-json", _assigned('"client_secret": "', URL, 40, '"')),
    Family("named-yaml", _assigned("api_key: ", WORD, 32)),
    Family("named-code", _assigned('secret_key = "', HEX, 40, '"')),
    Family("named-token", _assigned("access_token=", URL, 40)),
    Family("named-flag", _assigned("--password ", WORD, 18)),
]
