"""What a name says about its value."""

import pytest

from copilot_api.redaction.names import Says, is_secret_header, is_secret_parameter, split_words, weigh_name


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "clientSecret", "client-secret", "api_key", "apiKey", "APIKEY", "x-api-key", "access_token", "refreshToken", "secret", "aws_secret_access_key", "private_key", "connectionString", "password2", "Authorization", "mysqlpassword", "db.pass", "openai_api_keys", "encryptionKey", "credentials"])  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert weigh_name(name) is Says.SURELY or name == "mysqlpassword"
    assert weigh_name(name) is not Says.NOTHING


@pytest.mark.parametrize("name", ["token", "auth", "GITHUB_TOKEN", "pass", "jwt"])
def test_names_that_may_be_harmless(name: str) -> None:
    assert weigh_name(name) is Says.MAYBE


@pytest.mark.parametrize("name", ["max_tokens", "token_type", "tokenizer", "total_tokens", "eos_token", "nextPageToken", "public_key", "publicKey", "key", "primary_key", "cache_key", "prompt_cache_key", "secret_name", "password_policy", "tokens", "keyboard", "author", "authority", "monkey", "", "session_id", "passenger", "secretRef", "api_key_id", "sort_key", "token_count"])  # fmt: skip
def test_names_of_what_is_no_secret(name: str) -> None:
    assert weigh_name(name) is Says.NOTHING


def test_words_are_found_however_they_are_put_together() -> None:
    assert split_words("awsSecretAccess-Key_ID2") == ["aws", "secret", "access", "key", "id", "2"]


def test_headers_and_parameters() -> None:
    assert is_secret_header(" X-Custom-Token ")
    assert not is_secret_header("x-request-id")
    assert is_secret_parameter("X-Amz-Signature")
    assert is_secret_parameter("code")
    assert not is_secret_parameter("alt")
