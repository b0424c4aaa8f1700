"""Code hosts, package registries and what builds and ships programs."""

from copilot_api.redaction.families.shapes import near
from copilot_api.redaction.rule import Rule

_HEX40 = "[0-9a-f]{40}"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

CODE = (
    Rule(
        "gateway-key", "a key of this gateway", "sk-cap-[a-z2-7]{52}",
        ("sk-cap-",), r"sk-cap-[a-z2-7]{8,255}", is_any_case=True, in_logs=(("sk-",), r"sk-cap-[a-z2-7]{8,}"),
    ),
    Rule(
        "github-token", "a GitHub token: personal, OAuth, user, server or refresh", "gh[pousr]_[A-Za-z0-9]{36}",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        r"gh[pousr]_[A-Za-z0-9_\-]{16,1024}(?:\.[A-Za-z0-9_\-]{8,4096}){0,2}", in_logs=(("gh",), r"gh[a-z]_[A-Za-z0-9_]{8,}"),
    ),
    Rule(
        "github-fine-grained-token", "a fine-grained personal token of GitHub", "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        ("github_pat_",), r"github_pat_[A-Za-z0-9_]{8,255}", in_logs=(("github_pat_",), r"github_pat_[A-Za-z0-9_]{8,}"),
    ),
    Rule(
        "copilot-token", "a Copilot token", "tid=[0-9a-f]{32};exp=1[0-9]{9};sku=copilot_for_business_seat;st=dotcom;8kp=1:[0-9a-f]{64}",
        ("tid=",), r"tid=[A-Za-z0-9\-]{4,64}(?:;[A-Za-z0-9_.\-]{1,64}=[^;\s\"'\\&,<>\x00]{0,512}){1,64}(?:;|:[0-9a-f]{16,128})?",
        in_logs=(("tid=",), r"tid=[^\s\"']+"),
    ),
    Rule(
        "github-client-id", "the client id of a GitHub App", r"Iv1\.[0-9a-f]{16}|Iv23[a-z]{2}[A-Za-z0-9]{14}",
        ("Iv1.", "Iv23"), r"Iv(?:1\.[0-9a-fA-F]{12,40}|23[A-Za-z0-9]{12,40})",
    ),
    Rule(
        "gitlab-token", "a GitLab token: personal, deploy, runner, job, feed, agent, trigger, OAuth or SCIM",
        "gl(pat|dt|rt|cbt|ft|agent|ptt|soat|oas|ffct|imt)-[A-Za-z0-9_-]{20}",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glft-", "glagent-", "glptt-", "glsoat-", "gloas-", "glffct-", "glimt-", "glwt-", "glrtr-"),
        r"gl[a-z]{2,5}-[A-Za-z0-9_.=\-]{12,512}",
    ),
    Rule(
        "gitlab-runner-registration", "a registration token of GitLab runners", "GR1348941[A-Za-z0-9_-]{20}",
        ("GR1348941",), r"GR1348941[A-Za-z0-9_\-]{16,64}",
    ),
    Rule(
        "gitlab-session", "the session cookie of GitLab", "_gitlab_session=[0-9a-f]{32}",
        ("_gitlab_session=",), r"_gitlab_session=([0-9a-zA-Z\-]{16,128})",
    ),
    Rule(
        "atlassian-token", "a token of Atlassian or Bitbucket", "ATATT3[A-Za-z0-9_-]{180}=[0-9A-F]{8}|ATBB[A-Za-z0-9]{32}",
        ("ATATT3", "ATCTT3", "ATBB"), r"(?:AT[AC]TT3[A-Za-z0-9_=\-]{40,512}|ATBB[A-Za-z0-9_=\-]{24,255})",
    ),
    Rule("npm-token", "a token of npm", "npm_[A-Za-z0-9]{36}", ("npm_",), r"npm_(?=[a-zA-Z]{0,60}[0-9])[A-Za-z0-9]{30,255}"),
    Rule(
        "pypi-token", "a token of PyPI", "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{60}",
        ("pypi-Ag",), r"pypi-Ag[A-Za-z0-9_\-]{30,1024}",
    ),
    Rule("rubygems-key", "an API key of RubyGems", "rubygems_[0-9a-f]{48}", ("rubygems_",), r"rubygems_[0-9a-f]{32,128}"),
    Rule("crates-token", "a token of crates.io", "cio[A-Za-z0-9]{32}", ("cio",), r"(?<![A-Za-z0-9])cio(?=[A-Za-z]{0,31}[0-9])[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    Rule("nuget-key", "an API key of NuGet", "oy2[a-z0-9]{43}", ("oy2",), r"(?<![A-Za-z0-9])oy2[a-z0-9]{43}(?![A-Za-z0-9])"),
    Rule("clojars-token", "a token of Clojars", "CLOJARS_[0-9a-f]{60}", ("clojars_",), r"CLOJARS_[0-9a-z]{40,128}", is_any_case=True),
    Rule(
        "artifactory-token", "a token or password of JFrog Artifactory", "AKCp[A-Za-z0-9]{69}",
        ("AKCp", "cmVmdGtuO"), r"(?<![A-Za-z0-9])(?:AKCp|cmVmdGtuO)[A-Za-z0-9]{40,255}",
    ),
    Rule(
        "docker-token", "an access token of Docker Hub", "dckr_pat_[A-Za-z0-9_-]{27}",
        ("dckr_pat_", "dckr_oat_"), r"dckr_[po]at_[A-Za-z0-9_\-]{20,128}",
    ),
    Rule("circleci-token", "a token of CircleCI", "CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}", ("CCIPAT_", "CCIPRJ_"), r"CCIP(?:AT|RJ)_[A-Za-z0-9_]{20,255}"),
    Rule("buildkite-token", "a token of Buildkite", "bkua_[0-9a-f]{40}", ("bkua_",), r"bkua_[0-9a-z]{32,128}"),
    Rule("sonar-token", "a token of Sonar", "sq[upa]_[0-9a-f]{40}", ("squ_", "sqp_", "sqa_"), r"(?<![A-Za-z0-9])sq[upa]_[0-9a-z]{32,128}"),
    Rule("sourcegraph-token", "a token of Sourcegraph", "sgp_[0-9a-f]{16}_[0-9a-f]{40}", ("sgp_", "slk_"), r"(?:sgp|slk)_[0-9a-zA-Z_]{32,128}"),
    Rule("pulumi-token", "a token of Pulumi", "pul-[0-9a-f]{40}", ("pul-",), r"(?<![A-Za-z0-9])pul-[0-9a-f]{32,128}"),
    Rule(
        "terraform-token", "a token of Terraform Cloud", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{67}",
        (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=\-]{40,255}", back=14,
    ),
    Rule(
        "vault-token", "a token of HashiCorp Vault", r"hv[sbr]\.[A-Za-z0-9_-]{90}",
        ("hvs.", "hvb.", "hvr."), r"(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_\-]{20,512}",
    ),
    Rule(
        "doppler-token", "a token of Doppler", r"dp\.(pt|st|ct|sa|scim|audit)\.[A-Za-z0-9]{43}",
        ("dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."),
        r"(?<![A-Za-z0-9])dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{30,64}",
    ),
    Rule(
        "onepassword-token", "a service account token or secret key of 1Password", "ops_eyJ[A-Za-z0-9_-]{250}|A3-[A-Z0-9]{6}-[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
        ("ops_eyJ", "A3-"), r"(?:ops_eyJ[A-Za-z0-9+/_\-]{60,4096}={0,2}|(?<![A-Za-z0-9])A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3})",
    ),
    Rule("prefect-key", "an API key of Prefect", "pnu_[A-Za-z0-9]{36}", ("pnu_", "pnb_"), r"(?<![A-Za-z0-9])pn[ub]_[A-Za-z0-9]{36,64}"),
    Rule("infracost-key", "an API key of Infracost", "ico-[A-Za-z0-9]{32}", ("ico-",), r"(?<![A-Za-z0-9])ico-(?=[A-Za-z]{0,31}[0-9])[A-Za-z0-9]{32}"),
    Rule("postman-key", "an API key of Postman", "PMAK-[0-9a-f]{24}-[0-9a-f]{34}", ("pmak-",), r"PMAK-[0-9a-f\-]{40,128}", is_any_case=True),
    Rule(
        "snyk-token", "a token of Snyk, by the name before it", f"SNYK_TOKEN={_UUID}",
        ("snyk",), near("snyk", _UUID), is_any_case=True,
    ),
    Rule(
        "codecov-token", "a token of Codecov, by the name before it", f"CODECOV_TOKEN={_UUID}",
        ("codecov",), near("codecov", f"{_UUID}|[0-9a-z]{{32}}"), is_any_case=True,
    ),
    Rule(
        "github-secret", "a client secret or token of GitHub's older form, by the name before it", f"GITHUB_CLIENT_SECRET={_HEX40}",
        ("github", "gh_"), near("(?:github|gh_)", _HEX40, "secret|token|pat|key|auth|pass"), is_any_case=True,
    ),
)  # fmt: skip
