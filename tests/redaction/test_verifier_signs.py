"""Each sign of a secret, with what shows it and what looks alike and does not."""

import pytest

from copilot_api.redaction.verifier_signs import KINDS, NOISE, find_signs
from copilot_api.redaction.verifier_views import mask
from tests.redaction.corpus.alphabets import BASE64, HEX, URL, WORD, Chance

CHANCE = Chance("signs")
RANDOM = CHANCE.some(WORD, 40)
MASKED = "[redacted:any:0a1b2c]"
BEGIN, END = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
LINE = CHANCE.some(BASE64, 64)


def kinds(text: str) -> set[str]:
    return {kind for kind, _, _ in find_signs(mask(text))}


SHOWN = [
    ("prefix", "gh" + "p_" + RANDOM[:36]),
    ("prefix", "the key (sk-" + RANDOM + ")"),
    ("prefix", "https://hooks.slack" + ".com/services/T0AB1CD2EF3/B0GH4IJ5KL6/" + RANDOM[:24]),
    ("token", "AK" + "IAQ5W2E7R9T1Y3U8I0"),
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + CHANCE.some(URL, 43)),
    ("token", f"tid={CHANCE.some(HEX, 32)};exp=1790000000"),
    ("token", f"exp=1790000000;st=dotcom:{CHANCE.some(HEX, 64)}"),
    ("assignment", f"DB_PASSWORD={RANDOM}"),
    ("assignment", f'"client_secret" : "{RANDOM}"'),
    ("assignment", f"api_key: str = '{RANDOM}'"),
    ("assignment", f'os.environ["API_TOKEN"] = "{RANDOM}"'),
    ("assignment", f"<password>{RANDOM}</password>"),
    ("assignment", f"mysql --password {RANDOM}"),
    ("assignment", f'{{"name": "AUTH_TOKEN", "value": "{RANDOM}"}}'),
    ("assignment", f"the password is {RANDOM}"),
    ("assignment", f"/v1/models?key={RANDOM}"),
    ("key-block", f"{BEGIN}\n{LINE}\n{LINE}\n"),
    ("key-block", f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{LINE}\n"),
    ("key-block", f"{BEGIN}\\n{LINE}\\n"),
    ("key-block", f"{LINE}\n{LINE}==\n{END}"),
    ("key-block", "MIIEpA" + "IBAAKCAQEA" + LINE),
    ("userinfo", f"postgres://app:{RANDOM[:16]}@db/app"),
    ("userinfo", f"curl -u me:{RANDOM[:16]} https://example.com"),
    ("authorization", f"Authorization: Bearer {RANDOM}"),
    ("authorization", f"authorization: token {RANDOM}"),
    ("authorization", "use basic " + "dXNlcjpwQXNzdzByZDEyMw"),
    ("cookie", f"Cookie: theme=dark; sid={RANDOM}"),
    ("remainder", f"{MASKED}{RANDOM}"),
    ("remainder", f"{RANDOM}{MASKED}"),
]


@pytest.mark.parametrize(("kind", "text"), SHOWN, ids=[text[:32] for _, text in SHOWN])
def test_a_secret_shows(kind: str, text: str) -> None:
    assert kind in kinds(f"some words\n{text}\nmore words")


def test_each_kind_is_shown() -> None:
    assert {kind for kind, _ in SHOWN} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "sk-fading-circle-animation-delay",
        "ghp_" + "x" * 36,
        "password: string",
        f"password={MASKED}",
        f"Authorization: Bearer {MASKED}",
        f"postgres://app:{MASKED}@db/app",
        f"{BEGIN}\n{MASKED}\n{END}",
        f"{BEGIN} and {END}",
        f"a file with {BEGIN} in it, and later the digest {LINE}",
        "postgres://user:password@localhost/db",
        f"secret_name: billing-{RANDOM[:12]}",
        f"next_page_token={RANDOM}",
        f"token_count_digest={RANDOM}",
        f"password = base64.b16encode({RANDOM})"[:29],
        "token: 133e98c8-4ec2-46a8-90a9-946efc33a7c1",
        f"secret: /run/secrets/{RANDOM}",
        f"token: https://example.com/{RANDOM}",
        f"token_type: bearer, id: {RANDOM}",
        f"c29tZSB3b3JkcyBpbiBoZXJl{MASKED}IGFuZCBzb21lIG1vcmUgb2Yg",
        f"id: {RANDOM}",
    ],
)
def test_a_look_alike_does_not(text: str) -> None:
    assert kinds(text) == set()


def test_a_prefix_deep_inside_of_noise_is_an_accident() -> None:
    noise = CHANCE.some(URL, NOISE + 20)
    assert kinds(f'"encrypted_content": "{noise}gh' + f'p_{RANDOM}"') == set()
    assert kinds(f'"content": "{noise[:20]}gh' + f'p_{RANDOM}"') == {"prefix"}
