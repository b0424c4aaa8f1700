"""A value is a secret by the name before it, in every notation; types, variables, sentences and examples are none."""

import pytest

from copilot_api.redaction.assignments import find_assignments, is_secret_value
from copilot_api.redaction.names import Says
from copilot_api.redaction.rule import lower


def found(text: str) -> list[str]:
    return [hit.secret for hit in find_assignments(text, lower(text))]


@pytest.mark.parametrize(
    "text",
    [
        "password=tr0ub4dor", "password: tr0ub4dor", 'password = "tr0ub4dor"', "'password' => 'tr0ub4dor'", '"password":"tr0ub4dor"', 'passwd := "tr0ub4dor"',
        "DB_PASSWORD=tr0ub4dor", "export DB_PASSWORD='tr0ub4dor'", "--password tr0ub4dor", "--db-password=tr0ub4dor", "<password>tr0ub4dor</password>",
        "Server=db;User=me;Password=tr0ub4dor;", '\\"password\\": \\"tr0ub4dor\\"', '\\\\\\"password\\\\\\":\\\\\\"tr0ub4dor\\\\\\"', 'os.environ["DB_PASSWORD"] = "tr0ub4dor"',
        'password: str = "tr0ub4dor"', "const dbPassword: string = 'tr0ub4dor'", '<add key="Password" value="tr0ub4dor"/>', "?password=tr0ub4dor&x=1", "dbpassword=tr0ub4dor",
        "password=tr0ub4dor\n", "clientSecret: tr0ub4dor", "spring.datasource.password=tr0ub4dor", "if password == 'tr0ub4dor':", "Passwort: x\nPASSWORT=tr0ub4dor",
    ],
)  # fmt: skip
def test_a_name_that_says_so_makes_a_secret_in_every_notation(text: str) -> None:
    assert found(text) == ["tr0ub4dor"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("API_TOKEN=q7Wz9Kp2Lm4Xv8Rt", "q7Wz9Kp2Lm4Xv8Rt"), ("SECRET=p(a]s{s", "p(a]s{s"), ("PASSWORD=correcthorse", "correcthorse"), ('secret = "two words 7"', "two words 7"),
        ('setenv("API_TOKEN", "q7Wz9Kp2Lm4Xv8Rt")', "q7Wz9Kp2Lm4Xv8Rt"), ("token=q7Wz9Kp2Lm4Xv8Rt&b=c", "q7Wz9Kp2Lm4Xv8Rt"), ("(api_key=q7Wz9Kp2Lm4Xv8Rt)", "q7Wz9Kp2Lm4Xv8Rt"),
        ('password="unfinished7', "unfinished7"), ("api_key: FPKzUwQUF9cfurHM3nDp1WXsmEljkHCox = 1", "FPKzUwQUF9cfurHM3nDp1WXsmEljkHCox"),
        ("x-api-key: KyASP1gYpPxdPQZ5FGiL9KeVnxNYPJwlx = 1", "KyASP1gYpPxdPQZ5FGiL9KeVnxNYPJwlx"), (" and DB_PASSWORD=FBGVKuk3g_3.g5kMgRsU", "FBGVKuk3g_3.g5kMgRsU"),
        ("DB_PASSWORD=G2vvYaLVS1Uc7pZcrD.Q", "G2vvYaLVS1Uc7pZcrD.Q"), ("see: DB_PASSWORD=ky1ouo.w2TJ07Enqw6Ci", "ky1ouo.w2TJ07Enqw6Ci"),
    ],
)  # fmt: skip
def test_a_secret_ends_where_its_notation_says(text: str, secret: str) -> None:
    assert found(text) == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "password: string", "password: str | None = None", "password = getpass()", 'token = os.environ["TOKEN"]', "token = self.token", "password=${PASSWORD}", "api_key: YOUR_API_KEY",
        "max_tokens: 4096", "token_type=bearer", "the password: it is lost", "password = password", "secret: <your secret>", "key = value", "monkey=b4n4n4s99", "token: hello",
        "public_key: AAAAB3NzaC1yc2E", "password is required", "eos_token=</s>", "next_page_token=abc123def456ghi7", "passenger: a1b2c3d4", "tokenizer=cl100k_base", "secret_name: prod-db-17",
        "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-AbCdEf1", "private_key: Ed25519PrivateKey = make()", "pwd=/home/me/work", "authority=example.com:8080", "password: ********",
        "api_key: Curve25519PrivateKey = make()", "password = process.env.S3_KEY", "secret = std::env::var", "password = config.oauth2.clientSecret", "secret = Sha256::digest(pw)",
        '["export OPENAI_API_KEY=YOUR_API_KEY", "private_key_path=/etc/ssl/private/server-2026-03-04.pem"]', '\\"token\\":\\"\\\\\\\\u0120hello\\"',
    ],
)  # fmt: skip
def test_what_only_names_a_secret_is_none(text: str) -> None:
    assert found(text) == []


def test_a_name_that_may_be_harmless_needs_a_value_that_looks_like_a_secret() -> None:
    assert is_secret_value("q7Wz9Kp2Lm4Xv8Rt", Says.MAYBE)
    assert not is_secret_value("hello there", Says.MAYBE)
    assert not is_secret_value("\\\\u0120hello\\\\n", Says.MAYBE)
    assert is_secret_value("\\u0071\\u0037Wz9Kp2Lm4Xv8Rt", Says.MAYBE)
    assert not is_secret_value("Please enter your password", Says.SURELY)
    assert is_secret_value("correct horse battery staple", Says.SURELY)
