"""Clouds, hosts and databases."""

from copilot_api.redaction.families.shapes import ASSIGNED, near
from copilot_api.redaction.plausible import is_no_example
from copilot_api.redaction.rule import Rule

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_BASE64 = "[A-Za-z0-9+/%_\\-]"

CLOUDS = (
    Rule(
        "aws-access-key", "the id of an access key of AWS", "(AKIA|ASIA)[A-Z2-7]{16}",
        ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9]{3})",
    ),
    Rule(
        "aws-secret-key", "a secret access key or session token of AWS, by the name before it", "aws_secret_access_key = [A-Za-z0-9/+]{40}",
        ("aws", "secretaccesskey", "secret_access_key", "secret_key", "secretkey"),
        rf"(?:aws[\w .\-]{{0,24}}?(?:secret|session|key|token)|secret_?access_?key|secret_?key){ASSIGNED}([A-Za-z0-9/+]{{40}}(?![A-Za-z0-9/+])|[A-Za-z0-9/+=]{{100,4096}})",
        is_any_case=True,
    ),
    Rule(
        "aws-key-pair", "a secret access key of AWS beside the id of its key", "AKIA[A-Z2-7]{16},[A-Za-z0-9/+]{40}",
        ("AKIA", "ASIA"), r"""(?:AKIA|ASIA)[A-Z0-9]{16}[\s,:;|"'\\]{1,12}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])""",
    ),
    Rule("aws-bedrock-key", "an API key of Amazon Bedrock", "ABSK[A-Za-z0-9+/]{128}", ("ABSK", "bedrock-api-key-"), r"(?<![A-Za-z0-9])(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/]{60,4096}={0,2}"),
    Rule(
        "azure-account-key", "an account key or shared access key of Azure", "AccountKey=[A-Za-z0-9+/]{86}==",
        ("accountkey", "sharedaccesskey", "sharedsecret"), rf"(?:AccountKey|SharedAccessKey|SharedSecret)[\"'\\]{{0,3}}\s{{0,4}}[=:]\s{{0,4}}[\"'\\]{{0,3}}({_BASE64}{{16,255}}={{0,2}})",
        is_no_example, is_any_case=True,
    ),
    Rule(
        "azure-sas", "the signature of an address that is signed by Azure", "sv=2024-11-04&sp=r&sig=[A-Za-z0-9]{43}%3D",
        ("sig=",), rf"(?<![A-Za-z0-9_\-])sig=({_BASE64}{{20,255}}={{0,2}})", is_any_case=True,
    ),
    Rule(
        "azure-client-secret", "a client secret of Microsoft Entra", r"[A-Za-z0-9_~.]{3}8Q~[A-Za-z0-9_~.-]{34}",
        ("Q~",), r"[A-Za-z0-9_~.\-]{3}[0-9]Q~[A-Za-z0-9_~.\-]{28,40}", back=4,
    ),
    Rule(
        "azure-identifiable-key", "a key of Azure with its signature in the middle (OpenAI, Search, Functions, Cosmos, DevOps)",
        "[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}", ("JQQJ99", ), r"[A-Za-z0-9]{40,52}?JQQJ99[A-Za-z0-9]{20,64}={0,2}", back=52,
    ),
    Rule("azure-service-key", "a key of an Azure service that has the service's mark near its end", "[A-Za-z0-9]{44}AzFu[A-Za-z0-9]{6}==|[A-Za-z0-9]{44}AzSe[A-Za-z0-9]{6}",
        ("AzFu", "AzSe", "AzCa", "ACDb"), r"[A-Za-z0-9+/_\-]{32,44}(?:AzFu|AzSe|AzCa|ACDb)[A-Za-z0-9+/_\-]{6,40}={0,2}", back=44),
    Rule("digitalocean-token", "a token of DigitalOcean", "do[opr]_v1_[0-9a-f]{64}", ("doo_v1_", "dop_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{32,128}"),
    Rule(
        "cloudflare-token", "a token or key of Cloudflare, by its form or by the name before it", "v1[.]0-[0-9a-f]{24}-[0-9a-f]{146}|CLOUDFLARE_API_TOKEN=[A-Za-z0-9_-]{40}",
        ("cloudflare", "cf_api", "v1.0-", "cfut_", "cfat_"),
        r"(v1\.0-[0-9a-f]{24}-[0-9a-f]{100,160}|cf[ua]t_[A-Za-z0-9_\-]{32,128})|" + near("(?:cloudflare|cf_api)", r"[A-Za-z0-9_\-]{37,64}"),
        is_any_case=True,
    ),
    Rule("heroku-key", "a key of Heroku, by its form or by the name before it", f"HRKU-AA[A-Za-z0-9_-]{{58}}|HEROKU_API_KEY={_UUID}", ("heroku", "hrku-"), rf"(HRKU-[A-Za-z0-9_\-]{{30,128}})|{near('heroku', _UUID)}", is_any_case=True),
    Rule("alibaba-key", "the id of an access key of Alibaba Cloud", "LTAI5t[A-Za-z0-9]{18}", ("LTAI",), r"(?<![A-Za-z0-9])LTAI[A-Za-z0-9]{12,30}"),
    Rule("tencent-key", "the id of a secret of Tencent Cloud", "AKID[A-Za-z0-9]{32}", ("AKID",), r"(?<![A-Za-z0-9])AKID[A-Za-z0-9]{13,40}"),
    Rule("yandex-key", "a key or token of Yandex Cloud", "AQVN[A-Za-z0-9_-]{36}", ("AQVN", "t1.9eu"), r"(?<![A-Za-z0-9])(?:AQVN[A-Za-z0-9_\-]{35,38}|t1\.9eu[A-Za-z0-9_\-]{30,1024}(?:={0,2}\.[A-Za-z0-9_\-]{30,128}={0,2})?)"),
    Rule("flyio-token", "a token of Fly.io", "fo1_[A-Za-z0-9_-]{43}|fm2_[A-Za-z0-9+/]{100}", ("fo1_", "fm1_", "fm2_", "fm1a_", "fm1r_"), r"(?<![A-Za-z0-9])(?:fo1|fm[12][ar]?)_[A-Za-z0-9+/_\-]{40,4096}={0,3}"),
    Rule("netlify-token", "a token of Netlify", "nfp_[A-Za-z0-9]{36}", ("nfp_", "nfc_", "nfo_"), r"(?<![A-Za-z0-9])nf[pco]_[A-Za-z0-9_]{32,64}"),
    Rule("render-key", "a key of Render", "rnd_[A-Za-z0-9]{28}", ("rnd_",), r"(?<![A-Za-z0-9])rnd_(?=[A-Za-z]{0,27}[0-9])[A-Za-z0-9]{26,64}"),
    Rule("supabase-key", "a secret key or token of Supabase", "sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{31}", ("sbp_", "sb_secret_"), r"(?<![A-Za-z0-9])(?:sbp_[0-9a-f]{32,64}|sb_secret_[A-Za-z0-9_\-]{20,128})"),
    Rule("planetscale-key", "a password or token of PlanetScale", "pscale_(tkn|pw|oauth)_[A-Za-z0-9_-]{43}", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=\-]{24,128}"),
    Rule("neon-key", "a key of Neon", "napi_[a-z0-9]{64}", ("napi_",), r"(?<![A-Za-z0-9])napi_[a-z0-9]{40,128}"),
    Rule("databricks-token", "a token of Databricks", "dapi[0-9a-f]{32}", ("dapi", "dose"), r"(?<![A-Za-z0-9])(?:dapi|dose)[0-9a-f]{32}(?:-[0-9])?"),
    Rule("scaleway-key", "the id of a key of Scaleway", "SCW[A-Z0-9]{17}", ("SCW",), r"(?<![A-Za-z0-9])SCW(?=[A-Z]{0,16}[0-9])[A-Z0-9]{17}(?![A-Z0-9a-z_])"),
    Rule("tailscale-key", "a key of Tailscale", "tskey-(auth|api|client)-[A-Za-z0-9]{17}-[A-Za-z0-9]{32}", ("tskey-",), r"tskey-[a-z]{2,12}-[A-Za-z0-9\-]{20,128}"),
    Rule(
        "named-cloud-key", "a key or token of Linode, Vultr, Hetzner, Vercel, Railway, Snowflake, IBM, Algolia, Fastly or ngrok, by the name before it",
        "(LINODE|VULTR|HETZNER|VERCEL|FASTLY|ALGOLIA|NGROK)_TOKEN=[A-Za-z0-9]{40}",
        ("linode", "vultr", "hetzner", "hcloud", "vercel", "railway", "snowflake", "ibm", "algolia", "fastly", "ngrok"),
        near("(?:linode|vultr|hetzner|hcloud|vercel|railway|snowflake|ibm|algolia|fastly|ngrok)", r"(?=[A-Za-z_\-]{0,60}[0-9])[A-Za-z0-9_\-]{24,80}"),
        is_no_example, is_any_case=True,
    ),
)  # fmt: skip
