"""Texts that look as if they held a secret, and do not: redaction has to leave each byte of them."""

import base64
import json
import uuid
from collections.abc import Iterator

from tests.redaction.corpus.alphabets import BASE64, HEX, LOWER, UPPER, URL, WORD, Chance

_DASHES = "-" * 5
_PROSE = (
    """The quick brown fox jumps over the lazy dog, and the five boxing wizards jump quickly after it, without ado."""
)

WRITTEN = [
    # Placeholders
    "export OPENAI_API_KEY=YOUR_API_KEY",
    "OPENAI_API_KEY=sk-...",
    "ANTHROPIC_API_KEY=sk-ant-...",
    "api_key: <your-api-key>",
    "api_key = 'your-api-key-here'",
    "Authorization: Bearer <token>",
    "Authorization: Bearer ${TOKEN}",
    "Authorization: Bearer $GITHUB_TOKEN",
    "Authorization: Bearer YOUR_ACCESS_TOKEN",
    "Authorization: Bearer {{ secrets.API_TOKEN }}",
    "headers = {'Authorization': f'Bearer {token}'}",
    "headers: { Authorization: `Bearer ${process.env.API_TOKEN}` }",
    'client = OpenAI(api_key=os.environ["OPENAI_API_KEY"])',
    'client = Anthropic(api_key=os.environ.get("ANTHROPIC_API_KEY"))',
    "const apiKey = process.env.OPENAI_API_KEY;",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "GITHUB_TOKEN=ghp_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
    "GITHUB_TOKEN=ghp_********************************",
    "password: ********",
    "password=changeme",
    "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?required}",
    "postgres://user:password@localhost:5432/db",
    "postgresql://postgres:postgres@db:5432/postgres",
    "redis://:${REDIS_PASSWORD}@cache:6379/0",
    "https://<user>:<password>@example.com/",
    "mysql://root:root@127.0.0.1/test",
    "https://user:pass@example.com/path",
    "mongodb://USERNAME:PASSWORD@HOST:27017/admin",
    "https://x-access-token:$TOKEN@github.com/acme/app.git",
    "https://oauth2:${GITLAB_TOKEN}@gitlab.example.com/acme/app.git",
    "AWS_SECRET_ACCESS_KEY=<paste it here>",
    "aws_secret_access_key = ****************",
    "SLACK_BOT_TOKEN=xoxb-your-token-here",
    "STRIPE_SECRET_KEY=sk_test_...",
    "HF_TOKEN=hf_your_token_here",
    "NPM_TOKEN=npm_your_token_here",
    "//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
    "secret: REPLACE_ME",
    "client_secret=REDACTED",
    '"api_key": "[redacted:openai-key:0a1b2c]"',
    "Authorization: Bearer [redacted:jwt:9f8e7d]",
    "password=[redacted:password:123abc] and then some more words",
    "https://build:[redacted:url-password:00ff00]@git.example/x.git",
    "before [media: image/png, 48213 bytes] after",
    "the body ends here [cut]",
    "token = None",
    "password = getpass.getpass()",
    "password = input('Password: ')",
    "secret = secrets.token_urlsafe(32)",
    "api_key = settings.openai.api_key",
    "self.token = self.config.get_access_token(request)",
    "token = generate_access_token(user_id, expires_in=3600)",
    "const secretKey = await loadSecretFromVault(vaultClient, secretName);",
    "api_key: str | None = None",
    "apiKey?: string;",
    "password: string;",
    "accessToken: Optional[str] = Field(default=None, alias='accessToken')",
    "private_key: Ed25519PrivateKey = Ed25519PrivateKey.generate()",
    "interface Credentials { username: string; password: string; refreshToken?: string }",
    'type Secret struct { APIKey string `json:"api_key"` }',
    "fn authenticate(token: &str, secret: &[u8; 32]) -> Result<Claims, AuthenticationError>",
    "CREATE TABLE keys (id INTEGER PRIMARY KEY, secret_hash BLOB NOT NULL, token TEXT UNIQUE)",
    "def test_password_reset_token_is_refused_when_it_has_expired(): ...",
    "if (!user.password) throw new Error('password is required');",
    "raise InvalidCredentials('the access token has expired; sign in again')",
    "the secret to a good cake is butter; the password: none",
    "Which token do you want? A bearer token, basic auth, or an api-key header.",
    "Bearer authentication is also called token authentication.",
    "Basic Authentication/Authorization in HTTP/1.1",
    'WWW-Authenticate: Bearer realm="example", error="invalid_token"',
    "The authorization: it is handled by the middleware.",
    "set the Authorization header to Bearer followed by your key",
    # Numbers and names with "token" or "key" in them
    '{"max_tokens": 4096, "temperature": 0.7}',
    '{"max_completion_tokens":128000,"prompt_tokens":17,"total_tokens":2345}',
    '{"token_type": "bearer", "expires_in": 3600}',
    '{"input_tokens":12,"cache_read_input_tokens":118224,"output_tokens":77}',
    '{"token":"\\u0120hello","logprob":-0.31725305,"bytes":[32,104,101]}',
    '{"eos_token": "<|endoftext|>", "pad_token_id": 50256, "tokenizer_class": "GPT2TokenizerFast"}',
    '{"prompt_cache_key": "session-main-2026", "store": false}',
    '{"primaryKey": "user_id", "foreignKey": "account_id", "sortKey": "created_at"}',
    '{"key": "ArrowDown", "keyCode": 40, "shortcut": "Ctrl+Shift+K"}',
    "Press any key to continue . . .",
    "api_key_id: key_0007, label: ci, tier: client",
    '"secretName": "billing-tls", "secretKeyRef": {"name": "db", "key": "password"}',
    "secretKeyRef:\n  name: postgres-credentials\n  key: password",
    "PasswordAuthentication no\nPermitRootLogin prohibit-password",
    "password_hash_algorithm=argon2id memory=65536 iterations=3",
    "tokenization: BytePairEncoding; vocabulary of 200019 tokens",
    "next_page_token: page-2-of-17",
    "token budget: 1,000,000 tokens/minute",
    "password must be 12-128 characters, with upper, lower and digits",
    # CSS, HTML, minified scripts
    '<div class="sk-fading-circle"><div class="sk-circle1 sk-circle"></div></div>',
    ".sk-folding-cube .sk-cube2:before { transform: rotateZ(90deg) scale(1.1); }",
    ".sk-chasing-dot-before-animation-delay-12 { animation-delay: -1.1s }",
    "task-management-dashboard-component-v2 risk-assessment-matrix-2024-q3",
    "desk-lamp-with-adjustable-arm-and-usb-c-port-2-pack",
    "disk-usage-analyzer-3.38.0-1.fc39.x86_64",
    "import styles from './sk-spinner-three-bounce.module.css'",
    '!function(e,t){"object"==typeof exports&&"undefined"!=typeof module?module.exports=t():e.Vue=t()}(this,function(){var n=0;return n})',
    "var a=function(b){return b.c?b.d(e):f[g[h]]};i.prototype.j=function(k,l){for(var m=0;m<k.length;m++)l(k[m])}",
    "a.b(c,d(e,{f:g,h:i}),j?k:l,m&&n(o),p||q,[r,s,t],u=>v,w+x+y+z)",
    '<svg viewBox="0 0 24 24"><path d="M12 2C6.48 2 2 6.48 2 12s4.48 10 10 10 10-4.48 10-10S17.52 2 12 2zm0 18c-4.41 0-8-3.59-8-8"/></svg>',
    "background:url(data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7)",
    # Stack traces, logs, diffs
    'Traceback (most recent call last):\n  File "/usr/lib/python3.11/site-packages/requests/adapters.py", line 519, in send\n    raise ConnectionError(e, request=request)',
    "    at Object.<anonymous> (/home/ci/app/node_modules/jest-circus/build/legacy-code-todo-rewrite/jestAdapterInit.js:121:13)",
    "java.lang.IllegalStateException: token expired\n\tat com.example.auth.TokenVerifier.verifyAccessToken(TokenVerifier.java:42)",
    "panic: runtime error: index out of range [5] with length 3\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:8 +0x1d",
    "diff --git a/src/auth/token.py b/src/auth/token.py\nindex 83db48f..bf2a1c9 100644\n--- a/src/auth/token.py\n+++ b/src/auth/token.py\n@@ -1,4 +1,4 @@\n-TOKEN = read()\n+TOKEN = read_token()",
    "-    password: str\n+    password: SecretStr\n     username: str",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b\nAuthor: A U Thor <author@example.com>",
    "[INFO] 2026-03-04T05:06:07.891Z token refreshed for user 4711 in 12.5ms (attempt 1/3)",
    '127.0.0.1 - - [04/Mar/2026:05:06:07 +0000] "POST /v1/messages HTTP/1.1" 200 5316',
    "0x00007fff5fbff8c0 0xdeadbeefcafebabe 0x7ffeefbff5c8",
    "00000000: 7f45 4c46 0201 0100 0000 0000 0000 0000  .ELF............",
    # Paths, addresses, versions, numbers
    "/home/user/.config/copilot-api/github_token",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "C:\\Users\\me\\AppData\\Roaming\\GitHub Copilot\\hosts.json",
    "password_file: /run/secrets/postgres_password_v2",
    "--token-file /etc/copilot-api/Token-2026-03.txt",
    "private_key_path=/etc/ssl/private/server-2026-03-04.pem",
    "secret_arn = arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
    "arn:aws:iam::123456789012:role/service-role/AWSLambdaBasicExecutionRole",
    "https://github.com/acme/app/blob/3f786850e387550fdab836ed7e6dc881de23001b/src/token.ts#L10-L24",
    "https://example.com:8443/path?user=me@example.com",
    "ssh://git@github.com:22/acme/app.git",
    "git@github.com:acme/app.git",
    "mailto:someone@example.com?subject=the%20token%20has%20expired",
    "http://[::1]:4141/v1/chat/completions",
    "http://localhost:4141/v1?x=1@2",
    "https://fonts.googleapis.com/css2?family=Inter:wght@400;600;700&display=swap",
    "npm install @types/node@20.11.5 esbuild@0.19.12",
    "https://cdn.jsdelivr.net/npm/vue@3.4.15/dist/vue.global.prod.js",
    "docker.io/library/python:3.11-slim-bookworm@sha256:" + "0123abcd" * 8,
    "1.2.3-beta.4+build.20260304.sha.5114f85",
    "v18.17.1 linux-x64 glibc2.31 openssl3.0.9+quic",
    "+1 (555) 010-9999, +44 20 7946 0958, 0800-123-4567",
    "4111 1111 1111 1111",
    "978-3-16-148410-0",
    "2026-03-04T05:06:07.891234567+00:00",
    "1772600767891 1772600767.891",
    "12345678901234567890123456789012",
    "3.14159265358979323846264338327950288419716939937510",
    "GB33BUKB20201555555555",
    # Models and headers of the vendors
    "claude-sonnet-4-20250514",
    "claude-3-5-haiku-20241022, gpt-4o-mini-2024-07-18, gpt-5.1-codex-max, gemini-2.5-pro-preview-06-05",
    "text-embedding-3-small, o4-mini-2025-04-16, deepseek-r1-distill-llama-70b",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
    "anthropic-beta: interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    "user-agent: claude-cli/2.0.14 (external, cli)",
    "editor-version: vscode/1.104.1, copilot-integration-id: vscode-chat",
    "openai-organization: org-example, openai-processing-ms: 412",
    "x-ratelimit-limit-tokens: 150000, x-ratelimit-remaining-tokens: 149984, x-ratelimit-reset-tokens: 6ms",
    "anthropic-ratelimit-input-tokens-reset: 2026-03-04T05:06:07Z",
    "content-type: application/json; charset=utf-8",
    "cf-ray: 8a1b2c3d4e5f6789-FRA",
    'etag: W/"5e1f-18b2c3d4e5f"',
    "x-github-request-id: C0DE:1A2B3C:4D5E6F:7A8B9C:65F1E2D3",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "vary: Authorization, Accept-Encoding",
    "access-control-allow-headers: Authorization, X-Api-Key, Content-Type",
    # Prose, escaped and encoded
    "caf\u00e9 na\u00efve \u65e5\u672c\u8a9e \U0001f600 \u2028 done",
    "a%20sentence%20about%20passwords%20and%20tokens%2C%20nothing%20else",
    '{"text":"line one\\nline two\\t\\"quoted\\" and a back\\\\slash"}',
    json.dumps({"arguments": json.dumps({"command": "grep -rn 'api_key' src | head -20", "timeout": 120})}),
    json.dumps(
        {"arguments": json.dumps({"file_path": "/src/app/auth/token_provider.py", "old_string": "token = None"})}
    ),
    base64.b64encode(_PROSE.encode()).decode(),
    base64.b64encode(b'{"cursor":{"after":1234,"sort":"created_at"}}').decode(),
    base64.urlsafe_b64encode(_PROSE[7:].encode()).decode().rstrip("="),
    _PROSE.encode().hex(),
    "".join(f"%{byte:02X}" for byte in _PROSE.encode()),
    json.dumps(_PROSE).replace("e", "\\u0065"),
    f"{_DASHES}BEGIN RSA PRIVATE " + f"KEY{_DASHES}\n...\n{_DASHES}END RSA PRIVATE " + f"KEY{_DASHES}",
    f"a key file begins with {_DASHES}BEGIN OPENSSH PRIVATE " + f"KEY{_DASHES} and is to be kept to oneself",
    f"if '{_DASHES}BEGIN PRIVATE " + f"KEY{_DASHES}' in text: raise ValueError('that is a private key')",
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A (the start of a public key in PEM)",
    # What tools and tests are about
    'scopes: ["read:user", "repo", "copilot"]; grant_type=urn:ietf:params:oauth:grant-type:device_code',
    "user_code: WDJB-MJHT, verification_uri: https://github.com/login/device",
    "assert redact('sk-') == 'sk-'",
    "ghp_ is the prefix of a classic token, github_pat_ that of a fine-grained one, sk-ant- is Anthropic's",
    r"re.compile(r'gh[pousr]_[A-Za-z0-9]{36}')",
    r"regex: sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}",
    r"(?i)(?:password|secret|api[_-]?key)\s*[:=]\s*['\"]?([^\s'\"]{8,})",
    "eyJ is how base64 of a JSON object begins",
    "AKIA... are long-lived ids of AWS, ASIA... are temporary ones",
    "npm_config_user_agent=npm/10.2.4 node/v20.11.0 linux x64",
    "npm_lifecycle_event=build npm_package_version=1.4.2",
    "hf_hub_download(repo_id='bert-base-uncased', filename='config.json')",
    "key_points = extract_key_points(document); token_count = len(encode(text))",
    "monkeypatch.setenv('API_TOKEN', 'test-token')",
    "passwordless sign-in with passkeys; secret santa; token ring; key lime pie",
]


def _generated() -> Iterator[str]:
    chance = Chance("benign")
    for number in range(12):
        one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield (one, f'{{"id":"{one}"}}', f"session {one} began", f"x-request-id: {one}")[number % 4]
    for number in range(12):
        sha = chance.some(HEX, 40)
        yield (sha, f"commit {sha}", f"uses: actions/checkout@{sha} # v4", f'"sha": "{sha}", "type": "blob"')[
            number % 4
        ]
    for number in range(8):
        sha = chance.some(HEX, 64)
        yield (sha, f"sha256:{sha}", f"{sha}  copilot_api-0.1.0.tar.gz", f"FROM python@sha256:{sha}")[number % 4]
    for number in range(8):
        digest = base64.b64encode(chance.randbytes(64)).decode()
        yield (
            f'"integrity": "sha512-{digest}"',
            f'integrity="sha512-{digest}" crossorigin',
            f"sha512-{digest}",
            f"resolved sha512-{digest}",
        )[number % 4]
    for prefix, alphabet, length in _IDS:
        for form in ("{}", '{{"id": "{}", "object": "thing"}}'):
            yield form.format(prefix + chance.some(alphabet, length))
    for size in (96, 128, 192):
        blob = base64.b64encode(chance.randbytes(size * 3)).decode()
        yield json.dumps({"type": "thinking", "thinking": "Let me see.", "signature": blob})
        yield json.dumps({"type": "redacted_thinking", "data": blob})
        yield json.dumps({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAAB" + blob})
        yield json.dumps({"thoughtSignature": blob, "text": "Hello"})
        yield json.dumps(
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" + blob}}
        )
        yield json.dumps({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,/9j/4AAQSkZJRg{blob}"}})
        yield json.dumps({"encoding_format": "base64", "embedding": blob})
        yield f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{blob} user@host"
        yield f"{_DASHES}BEGIN CERTIFICATE{_DASHES}\nMIID{blob}\n{_DASHES}END CERTIFICATE{_DASHES}"
        yield f"{_DASHES}BEGIN PUBLIC KEY{_DASHES}\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A{blob}\n{_DASHES}END PUBLIC KEY{_DASHES}"
    yield f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{chance.some(BASE64, 43)} ci@example"
    yield f"github.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBB{chance.some(BASE64, 80)}="
    for _ in range(4):
        words = [f'"\\u0120{chance.some(LOWER, 6)}": {chance.randrange(200000)}' for _ in range(8)]
        yield "{" + ", ".join(words) + "}"
        yield "".join(f"{chance.some(BASE64, 8)} {number}\n" for number in range(100, 106))
        yield f'etag: "{chance.some(HEX, 32)}"'
        yield f"x-amz-cf-id: {chance.some(URL, 54)}=="
        yield f"traceparent: 00-{chance.some(HEX, 32)}-{chance.some(HEX, 16)}-01"
        yield f'{{"name":"left-pad","version":"1.{chance.randrange(9)}.0","_shasum":"{chance.some(HEX, 40)}"}}'
        yield f"/assets/index-{chance.some(WORD, 8)}.js /assets/vendor.{chance.some(HEX, 20)}.css"
        yield f"system_fingerprint: fp_{chance.some(HEX, 10)}, service_tier: default"


_IDS = [
    ("call_", WORD, 24),
    ("toolu_01", WORD, 22),
    ("toolu_vrtx_01", WORD, 22),
    ("toolu_bdrk_01", WORD, 22),
    ("resp_", HEX, 48),
    ("msg_01", WORD, 22),
    ("msg_", HEX, 48),
    ("rs_", HEX, 48),
    ("fc_", HEX, 48),
    ("item_", WORD, 20),
    ("chatcmpl-", WORD, 29),
    ("req_01", WORD, 22),
    ("req_", HEX, 32),
    ("org-", WORD, 24),
    ("user-", WORD, 24),
    ("file-", WORD, 24),
    ("asst_", WORD, 24),
    ("thread_", WORD, 24),
    ("batch_", HEX, 32),
    ("cus_", WORD, 14),
    ("pod-billing-", LOWER, 10),
    ("i-", HEX, 17),
    ("01H", UPPER, 23),
]

BENIGN: list[str] = [*WRITTEN, *_generated()]
"""All of them, each a text of its own."""
