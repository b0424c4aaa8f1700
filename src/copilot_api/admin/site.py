"""The admin pages put together: sessions, access, assets, templates, and the routes with their views."""

from collections.abc import Callable

from copilot_api.admin.assets import Assets
from copilot_api.admin.auth import Access
from copilot_api.admin.live import LiveTopics, LiveView
from copilot_api.admin.notices import list_notices
from copilot_api.admin.pages import AdminPages
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.routes import Views, list_routes
from copilot_api.admin.services import PageServices
from copilot_api.admin.session_api import SessionsApi
from copilot_api.admin.sessions import SessionService
from copilot_api.admin.shell import Notice, Shell
from copilot_api.admin.templating import Templates
from copilot_api.admin.topics import add_topics
from copilot_api.admin.views.access import AccessViews
from copilot_api.admin.views.assets import AssetViews
from copilot_api.admin.views.sessions import SessionViews
from copilot_api.admin.views.styleguide import StyleguideView
from copilot_api.admin.views.trace_tail import TraceTailViews
from copilot_api.api.door import Door, OnRefused, tell_nobody
from copilot_api.api.intake import Networks
from copilot_api.audit.models import AuditEvent
from copilot_api.clock import Clock
from copilot_api.keys.service import KeyService
from copilot_api.keys.sessions import SessionRepository
from copilot_api.observability.events import Observer


class AdminSite:
    """
    See the module. It is there before the door, which takes its sessions (`access`); the pages come after, and with
    them whatever they ask.
    """

    def __init__(
        self,
        keys: KeyService,
        repository: SessionRepository,
        clock: Clock,
        append: Callable[[AuditEvent], None],
        observe: Observer,
        *,
        trusted: Networks = (),
        on_refused: OnRefused = tell_nobody,
        is_on: bool = True,
        is_demo: bool = False,
    ) -> None:
        self._is_demo = is_demo
        self.topics = LiveTopics()
        """What open pages hear of when it changes; whoever has something that changes adds it here."""
        self._clock = clock
        self._observe = observe
        self.sessions = SessionService(repository, keys, clock)
        """Who is signed in."""
        self.access = Access(keys, self.sessions, clock, append, trusted=trusted, is_on=is_on, on_refused=on_refused)
        self._pages: AdminPages | None = None
        self._services: PageServices | None = None

    def make_pages(self, door: Door, services: PageServices | None = None) -> AdminPages:
        """The pages themselves; without services only those that get one in and out."""
        self._services = services
        if services is not None:
            add_topics(self.topics, services)
        assets = Assets()
        templates = Templates(assets)
        views = Views(
            AccessViews(self.access),
            SessionViews(self.sessions),
            AssetViews(assets),
            LiveView(self.topics),
            None if services is None else TraceTailViews(services, templates.render),
            StyleguideView(assets) if self._is_demo else None,
        )
        self._pages = AdminPages(
            list_routes(views, services),
            self.access,
            door,
            templates,
            self._clock,
            self._observe,
            self._make_shell,
        )
        return self._pages

    def _make_shell(self, request: AdminRequest | None) -> Shell:
        """What stands around each page; how the gateway is, is for admins."""
        notices: tuple[Notice, ...] = ()
        if self._services is not None and request is not None and request.is_admin:
            notices = list_notices(self._services.state())
        return Shell(notices, is_demo=self._is_demo)

    def make_session_api(self, door: Door) -> SessionsApi:
        """`/admin/api/sessions`."""
        return SessionsApi(door, self.access, self.sessions)

    async def run(self) -> None:
        """Look after the sessions, for ever."""
        await self.sessions.run()

    def stop(self) -> None:
        """End what would hold up the gateway's end."""
        if self._pages is not None:
            self._pages.stop()

    async def finish(self) -> None:
        """Store what is still to be stored."""
        await self.sessions.store()
        if self._services is not None:
            self._services.threads.stop()
