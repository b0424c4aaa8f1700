"""What is done to keys: made, edited, rotated, revoked one by one or many at once, captured, exported, erased."""

from dataclasses import dataclass
from functools import partial

from copilot_api.admin.answers import Answer, Page, Redirect, Stream
from copilot_api.admin.client_setups import export_key
from copilot_api.admin.components import Column
from copilot_api.admin.key_effects import LAST_ADMIN
from copilot_api.admin.key_forms import (
    OBSERVE_LABELS,
    ReadKey,
    TypedKey,
    offer_budget_lines,
    read_key_form,
    show_key,
    sign_version,
)
from copilot_api.admin.links import page_url
from copilot_api.admin.model_names import list_names
from copilot_api.admin.once import FIELD, SentForms, make_form_id
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.views.keys import KeyViews, find_key
from copilot_api.config.budgets import Unit, Window
from copilot_api.errors import BadRequest, RouteNotFound
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import IssuedKey
from copilot_api.keys.wishes import Rotation
from copilot_api.privacy.erasing import Order
from copilot_api.privacy.models import EventsFate

KEYS = "/admin/keys"
MOST_REVOKED = 200
"""So many keys are revoked at once at most."""
_VERSION = "version"
_ENDED_COLUMNS = (Column("key", "Key"), Column("tier", "Tier"), Column("used", "Last used"))


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of a key, as its page shows it."""

    read: ReadKey
    before: ApiKey | None
    status: int = 200
    is_stale: bool = False
    """Whether somebody changed the key after the form was shown."""


class KeyChangeViews:
    """See the module."""

    def __init__(self, services: PageServices, keys: KeyViews) -> None:
        self._services = services
        self._keys = keys
        self._sent = SentForms()

    # Making one -----------------------------------------------------------------------------------------------------

    async def ask_new(self, request: AdminRequest) -> Answer:
        """The form for a new key."""
        return self._show_form(request, _Form(ReadKey(TypedKey()), None))

    async def create(self, request: AdminRequest) -> Answer:
        """Makes the key, and shows it: the only time that anybody sees it."""
        if (led_to := self._find_sent(request)) is not None:
            return led_to
        read = read_key_form(request.form, request.now)
        if read.problems:
            return self._show_form(request, _Form(read, None, 400))
        if read.tier is Tier.ADMIN:
            request.require_step_up()
        issue = partial(
            self._services.keys.issue,
            read.label,
            tier=read.tier,
            policy=read.policy,
            not_before=read.not_before,
            expires_at=read.expires_at,
            actor=request.key.id,
            origin=request.origin,
        )
        return await self._show_secret(request, issue)

    # Changing one ---------------------------------------------------------------------------------------------------

    async def ask_edit(self, request: AdminRequest) -> Answer:
        """The form of a key that is there."""
        key = _usable(find_key(self._services, request.parameters["id"]))
        typed = show_key(key, list_names(self._services, request.now))
        return self._show_form(request, _Form(ReadKey(typed), key))

    async def edit(self, request: AdminRequest) -> Answer:
        """Changes the key to what the form says; but not where the key is another one than the form was made of."""
        services = self._services
        key = _usable(
            await services.threads.ask(partial(services.keys.get_by_id, request.parameters["id"])),
        )
        read = read_key_form(request.form, request.now, key)
        is_stale = request.form.get(_VERSION) != sign_version(key)
        if read.problems or is_stale:
            return self._show_form(request, _Form(read, key, 409 if is_stale else 400, is_stale))
        if key.tier is Tier.ADMIN:
            request.require_step_up()
        version = sign_version(key)

        def replace_policy(policy: KeyPolicy) -> KeyPolicy:
            if policy != key.policy:
                raise BadRequest("somebody changed this key meanwhile", hint="load its form again")
            return read.policy

        update = partial(
            services.keys.update,
            key.id,
            label=read.label,
            policy=replace_policy,
            not_before=read.not_before,
            expires_at=read.expires_at,
            actor=request.key.id,
            origin=request.origin,
        )
        changed = await services.threads.ask(update)
        done = "unchanged" if sign_version(changed) == version else "saved"
        return await self._go_to(key.id, done)

    async def rotate(self, request: AdminRequest) -> Answer:
        """Gives the key a new secret, and shows it once."""
        if (led_to := self._find_sent(request)) is not None:
            return led_to
        key = find_key(self._services, request.parameters["id"])
        overlap = Rotation(overlap=request.form.get("overlap") or None).count_seconds()
        if key.tier is Tier.ADMIN:
            request.require_step_up()
        rotate = partial(
            self._services.keys.rotate, key.id, overlap_seconds=overlap, actor=request.key.id, origin=request.origin
        )
        return await self._show_secret(request, rotate, overlap)

    # Ending them ----------------------------------------------------------------------------------------------------

    async def ask_revoke(self, request: AdminRequest) -> Answer:
        """What revoking the chosen keys will do, before it is done."""
        return await self._show_revocation(request, request.query.list("key"))

    async def revoke(self, request: AdminRequest) -> Answer:
        """Revokes the chosen keys."""
        ids = request.form.list("key")
        keys = self._find_chosen(ids)
        revocation = await self._keys.foresee(request, keys)
        if revocation.is_last_admin and LAST_ADMIN not in request.form:
            problem = "Tick the box if you mean it although no admin key is left."
            return await self._show_revocation(request, ids, problem)
        if revocation.has_admin:
            request.require_step_up()
        services = self._services
        for key in revocation.keys:
            revoke = partial(services.keys.revoke, key.id, actor=request.key.id, origin=request.origin)
            await services.threads.ask(revoke)
        if len(keys) == 1 and request.form.get("back") == "key":
            return await self._go_to(keys[0].id, "revoked")
        await self._refresh()
        return Redirect(page_url(KEYS, (), done="revoked"))

    async def _show_revocation(self, request: AdminRequest, ids: list[str], problem: str = "") -> Page:
        keys = self._find_chosen(ids)
        data: dict[str, object] = {
            "chosen": keys,
            "revocation": await self._keys.foresee(request, keys),
            "columns": _ENDED_COLUMNS,
            "last_admin": LAST_ADMIN,
            "problem": problem,
            "back": request.form.get("back"),
        }
        return Page("keys/revoke.html", data, 400 if problem else 200)

    def _find_chosen(self, ids: list[str]) -> list[ApiKey]:
        if len(ids) > MOST_REVOKED:
            raise BadRequest(f"at most {MOST_REVOKED} keys are revoked at once", param="key")
        return [find_key(self._services, key_id) for key_id in dict.fromkeys(ids)]

    # Capturing one --------------------------------------------------------------------------------------------------

    async def capture(self, request: AdminRequest) -> Answer:
        """Has the calls of the key captured for a while, or for longer."""
        services = self._services
        key = find_key(services, request.parameters["id"])
        if not services.may_capture():
            raise CaptureForbidden("captures are switched off on this gateway")
        start = partial(
            services.keys.start_capture,
            key.id,
            request.form.get("reason"),
            _parse_minutes(request.form.get("minutes")) * 60,
            actor=request.key.id,
            origin=request.origin,
        )
        try:
            await services.threads.ask(start)
        except BadRequest as error:
            if error.param is None:
                raise
            field = "minutes" if error.param == "seconds" else error.param
            return await self._keys.show_key(request, key, {field: error.message})
        return await self._go_to(key.id, "capture")

    async def end_capture(self, request: AdminRequest) -> Answer:
        """Ends the capture of the key."""
        services, key_id = self._services, request.parameters["id"]
        stop = partial(services.keys.stop_capture, key_id, actor=request.key.id, origin=request.origin)
        await services.threads.ask(stop)
        return await self._go_to(key_id, "capture-ended")

    # Whose data it is -----------------------------------------------------------------------------------------------

    async def export(self, request: AdminRequest) -> Answer:
        """All that is stored about the key's holder, as a file."""
        privacy = self._services.privacy
        if privacy is None:
            raise RouteNotFound("exports are for the command line here", hint="copilot-api privacy export KEY")
        key_id = request.parameters["id"]
        exported, pieces = await privacy.export_key(key_id, actor=request.key.id, origin=request.origin)
        headers = ((b"x-capi-sha256", exported.sha256.encode()),)
        return Stream(pieces, "application/zip", exported.path.name, headers=headers)

    async def erase(self, request: AdminRequest) -> Answer:
        """Erases all that is stored about the key's holder, and shows the receipt."""
        privacy = self._services.privacy
        if privacy is None:
            raise RouteNotFound("erasures are for the command line here", hint="copilot-api privacy erase KEY")
        key = find_key(self._services, request.parameters["id"])
        fate, problems = request.form.get("events"), dict[str, str]()
        if fate not in list(EventsFate):
            problems["events"] = "choose what becomes of the events"
        if "sure" not in request.form:
            problems["sure"] = "tick the box if you mean it"
        if problems:
            return await self._keys.show_key(request, key, problems)
        request.require_step_up()
        receipt = await privacy.erase_key(key.id, Order(EventsFate(fate), request.key.id, request.origin))
        await self._refresh()
        return Page("keys/erased.html", {"receipt": receipt, "label": key.label})

    # Inside ---------------------------------------------------------------------------------------------------------

    def _show_form(self, request: AdminRequest, form: _Form) -> Page:
        names, read = list_names(self._services, request.now), form.read
        data: dict[str, object] = {
            "key": form.before,
            "typed": read.typed,
            "problems": read.problems,
            "is_stale": form.is_stale,
            "version": "" if form.before is None else sign_version(form.before),
            "form_id": make_form_id(),
            "model_names": names,
            "budget_lines": offer_budget_lines(read.typed),
            "units": [(unit.value, unit.words) for unit in Unit],
            "windows": [(window.value, f"a {window.value}" if window != "hour" else "an hour") for window in Window],
            "modes": [("enforce", "enforced"), ("observe", "only observed")],
            "tiers": [(Tier.CLIENT.value, "Client: may call models"), (Tier.ADMIN.value, "Admin: may do everything")],
            "observable": OBSERVE_LABELS,
        }
        return Page("keys/form.html", data, form.status)

    async def _show_secret(
        self, request: AdminRequest, issue: "partial[IssuedKey]", overlap_seconds: float | None = None
    ) -> Page:
        """
        The page with the secret is the answer to the form itself: so it is kept nowhere for a page behind it. Sent once
        more, the same form leads to the key that it made.
        """
        form_id = request.form.get(FIELD)
        self._sent.begin(request.session.id, form_id)
        try:
            issued = await self._services.threads.ask(issue)
        except BaseException:
            self._sent.forget(request.session.id, form_id)
            raise
        self._sent.note(request.session.id, form_id, issued.key.id)
        await self._refresh()
        data: dict[str, object] = {
            "key": issued.key,
            "secret": issued.secret,
            "export": export_key(issued.secret),
            "overlap_seconds": overlap_seconds,
            "is_own": issued.key.id == request.key.id,
            "base_url": request.arrival.base_url,
        }
        return Page("keys/issued.html", data)

    def _find_sent(self, request: AdminRequest) -> Redirect | None:
        """Where a form leads that was sent before."""
        key_id = self._sent.find(request.session.id, request.form.get(FIELD))
        if key_id is None:
            return None
        return Redirect(page_url(f"{KEYS}/{key_id}" if key_id else KEYS, (), done="again"))

    async def _go_to(self, key_id: str, done: str) -> Redirect:
        await self._refresh()
        return Redirect(page_url(f"{KEYS}/{key_id}", (), done=done))

    async def _refresh(self) -> None:
        """The next page shows what was done."""
        await self._services.keys.refresh()


def _usable(key: ApiKey) -> ApiKey:
    if key.revoked_at is not None:
        raise BadRequest("this key was revoked: it cannot be changed any more", hint="make a new key instead")
    return key


def _parse_minutes(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
