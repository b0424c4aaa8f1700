"""Signing in and out, and showing the key again."""

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.arrivals import render_cookie, render_no_cookie
from copilot_api.admin.auth import Access, SignInRefused, SignInThrottled
from copilot_api.admin.paths import LOGIN, safe_next
from copilot_api.admin.requests import AdminRequest


class AccessViews:
    """See the module."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def ask(self, request: AdminRequest) -> Answer:
        """The form for the key; whoever is signed in goes on."""
        going_to = safe_next(request.query.get("next"))
        if request.signed_in is not None:
            return Redirect(going_to)
        return Page("login.html", {"next": going_to, "problem": None})

    async def sign_in(self, request: AdminRequest) -> Answer:
        """Takes the key. Where it is not let in, the form is shown again and says no more than that."""
        going_to, arrival = safe_next(request.form.get("next")), request.arrival
        try:
            opened = await self._access.sign_in(request.form.get("key").strip(), arrival, request.origin)
        except (SignInRefused, SignInThrottled) as error:
            data = {"next": going_to, "problem": error.message}
            return Page("login.html", data, error.actual_status, tuple(error.headers()))
        return Redirect(going_to, ((b"set-cookie", render_cookie(opened.cookie, is_secure=arrival.is_secure)),))

    async def sign_out(self, request: AdminRequest) -> Answer:
        """Ends the session."""
        if request.signed_in is not None:
            await self._access.sign_out(request.signed_in, request.origin)
        cookie = render_no_cookie(is_secure=request.arrival.is_secure)
        return Redirect(LOGIN, ((b"set-cookie", cookie),))

    async def ask_again(self, request: AdminRequest) -> Answer:
        """The form for the key of whoever is signed in; they need not wait for a page that asks for it."""
        fields = [("next", safe_next(request.query.get("next")))]
        return Page("step_up.html", {"action": request.path, "fields": fields, "problem": None})

    async def go_on(self, request: AdminRequest) -> Answer:
        """After the key was shown again: where it was needed."""
        return Redirect(safe_next(request.form.get("next")))
