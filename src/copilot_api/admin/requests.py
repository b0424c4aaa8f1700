"""
One request for a page, as a view takes it: parsed, its sender known, and everything refused that can be by looking.

A view is `async def show(self, request: AdminRequest) -> Answer`; see `copilot_api.admin.answers`. Its route says who
may ask (`copilot_api.admin.routes`), and a form reaches it only with the token of the session that it came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from copilot_api.admin.arrivals import Arrival
from copilot_api.admin.forms import NO_FIELDS, Fields
from copilot_api.api.intake import RequestHead
from copilot_api.audit.models import Origin
from copilot_api.errors import GatewayError
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.sessions import Session

FRAGMENT_HEADER = b"x-fragment"
"""Its value: the names of the blocks of a page that are wanted, with commas. See `Templates.render_fragments`."""
SHELL_BLOCKS = ("notices", "range")
"""The blocks that every page has."""


class StepUpRequired(GatewayError):
    """Before this the key is to be shown again, and it was not within the last minutes."""

    number, code, status = 218, "step_up_required", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = "show the key again at /admin/step-up, then repeat this within five minutes"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who asks, and by which session."""

    key: ApiKey
    session: Session
    csrf: str
    """The session's token, for forms (`csrf`) and scripts (`X-CSRF-Token`); written differently on each page."""


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """See the module."""

    method: str
    """`GET` or `POST`; a `HEAD` comes as a `GET`."""
    path: str
    """As it was sent, without the query: what a form's `action` may be."""
    target: str
    """The same with the query."""
    parameters: Mapping[str, str]
    """What stands in the path where its route has a name in braces, decoded: never empty, never with a slash in it."""
    query: Fields
    arrival: Arrival
    head: RequestHead = field(repr=False)
    origin: Origin
    """For the audit log; the request's id is in it."""
    now: datetime
    form: Fields = NO_FIELDS
    signed_in: SignedIn | None = None
    """None only on pages that are for everybody."""

    @property
    def key(self) -> ApiKey:
        """The key of who asks. A page that is for everybody may not ask for it."""
        return self._signed_in().key

    @property
    def session(self) -> Session:
        """The session by which they ask, with the same exception."""
        return self._signed_in().session

    @property
    def csrf(self) -> str:
        """The token for forms; empty where nobody is signed in."""
        return "" if self.signed_in is None else self.signed_in.csrf

    @property
    def is_admin(self) -> bool:
        """Whether an admin asks."""
        return self.signed_in is not None and self.signed_in.key.tier is Tier.ADMIN

    def header(self, name: bytes) -> str:
        """One header of the request, by its name in lower case; empty where it is not there."""
        return self.head.get(name, b"").decode("latin-1")

    def wants(self, *blocks: str) -> bool:
        """Whether any of these blocks of the page is to be shown: a script may ask for some by name."""
        named = self.header(FRAGMENT_HEADER)
        return not named or not {each.strip() for each in named.split(",")}.isdisjoint(blocks)

    def wants_whole(self, *blocks: str) -> bool:
        """
        Whether the whole page is to be shown, which has these blocks: also where a script asks for one that it has not.
        """
        named = self.header(FRAGMENT_HEADER)
        return not named or not {each.strip() for each in named.split(",")} <= {*blocks, *SHELL_BLOCKS}

    def require_step_up(self) -> None:
        """
        Go on only if the key was shown again just now. Raises `StepUpRequired`, which is answered with a page that asks
        for the key and then sends this very request, its form included, once more.
        """
        if not self.session.is_stepped_up_at(self.now):
            raise StepUpRequired("this needs the key again")

    def _signed_in(self) -> SignedIn:
        if self.signed_in is None:
            raise RuntimeError(f"{self.path} is for everybody: nobody needs to be signed in")
        return self.signed_in
