"""github.com and api.github.com: the device flow, the user, the token exchange and the quota document."""

from urllib.parse import urlencode
from zlib import crc32

from copilot_api.simulator.accounts import bearer_of, kind_of, login_of
from copilot_api.simulator.http import Outgoing, Request
from copilot_api.simulator.replies import (
    Refusal,
    Reply,
    json_reply,
    load_document,
    recorded,
    recorded_token_errors,
)
from copilot_api.simulator.simulation import Simulation
from copilot_api.simulator.wire import Json

_OCTOCAT = "octocat"
_FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


def start_device_flow(simulation: Simulation, request: Request) -> Outgoing:
    """`POST /login/device/code`."""
    answer = simulation.device.start(request.fields())
    if answer is None:
        return Outgoing(json_reply({"error": "Not Found"}, 404))
    return Outgoing(_oauth_reply(answer, request))


def poll_device_flow(simulation: Simulation, request: Request) -> Outgoing:
    """`POST /login/oauth/access_token`."""
    return Outgoing(_oauth_reply(simulation.device.poll(request.fields()), request))


def _oauth_reply(answer: Json, request: Request) -> Reply:
    """JSON for those who ask for it, a form for everybody else."""
    if "application/json" in request.header("accept"):
        return json_reply(answer)
    return Reply(200, urlencode(answer).encode(), _FORM_TYPE)


def _github_token(request: Request) -> str:
    """The GitHub token of a REST call, or its refusal; a Copilot token is none."""
    token = bearer_of(request.header("authorization"))
    kind = kind_of(token)
    if kind == "installation":
        raise recorded("forbidden_installation_token")
    if kind not in {"app", "direct"}:
        raise Refusal(recorded_token_errors()["401_bad_github_token"])
    return token


def show_user(_: Simulation, request: Request) -> Outgoing:
    """`GET /user`."""
    login = login_of(_github_token(request))
    user: Json = load_document("token.json")["device_flow"]["user"]
    if login != _OCTOCAT:
        user.update(login=login, id=crc32(login.encode()), name=login)
    return Outgoing(json_reply(user))


def exchange_token(simulation: Simulation, request: Request) -> Outgoing:
    """`GET /copilot_internal/v2/token`."""
    if kind_of(bearer_of(request.header("authorization"))) == "classic":
        raise Refusal(recorded_token_errors()["404_no_endpoint_for_token"])
    token = _github_token(request)
    return Outgoing(json_reply(simulation.accounts.exchange(token, request.base_url)))


def show_quota(simulation: Simulation, request: Request) -> Outgoing:
    """`GET /copilot_internal/user`."""
    login = login_of(_github_token(request))
    document: Json = load_document("user.json")[simulation.options.plan]
    document["login"] = login
    document["endpoints"]["api"] = request.base_url
    reset = simulation.quotas.resets_at()
    if "quota_reset_date" in document:
        document["quota_reset_date"] = reset.strftime("%Y-%m-%d")
        document["quota_reset_date_utc"] = reset.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    snapshots: Json = document.get("quota_snapshots", {})
    premium: Json = snapshots.get("premium_interactions", {})
    if premium and not premium.get("token_based_billing"):
        snapshots["premium_interactions"] = {**premium, **simulation.quotas.describe_premium(login)}
        if simulation.quotas.is_token_based:
            document["token_based_billing"] = True
    return Outgoing(json_reply(document))
