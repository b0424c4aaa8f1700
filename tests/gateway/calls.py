"""A call's surroundings without a network: a ledger in a list, a reply from a list, an answer into a list."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from copilot_api.admission.approval import Approval
from copilot_api.admission.budget import NOTHING, Amounts
from copilot_api.admission.in_flight import Slots
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.models import Ask, Quotas, Reservation
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.admission.service import Admission, Permit
from copilot_api.clock import Clock
from copilot_api.config.settings import AdmissionLimits
from copilot_api.errors import Rate
from copilot_api.gateway.call import Call
from copilot_api.gateway.settlement import Settlement
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.observability.events import Observation
from copilot_api.protocols.base import ModelTraits, StreamRelay
from copilot_api.upstream.brake import Brake
from copilot_api.upstream.catalog import Model
from copilot_api.upstream.transport import SILENCE, Silence, TransportError
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.recorder import UsageRecorder
from tests.fakes import FakeClock

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
QUIET = SILENCE
KEEP_ALIVE = b": keep-alive\n\n"


class Ledger:
    """A recorder that only keeps what it is told, as it was told."""

    def __init__(self) -> None:
        self.begun: list[UsageEvent] = []
        self.ended: list[UsageEvent] = []

    def begin(self, event: UsageEvent) -> None:
        self.begun.append(UsageEvent(**{name: getattr(event, name) for name in UsageEvent.__struct_fields__}))

    def end(self, event: UsageEvent) -> None:
        self.ended.append(UsageEvent(**{name: getattr(event, name) for name in UsageEvent.__struct_fields__}))

    @property
    def event(self) -> UsageEvent:
        """The one event of the one call."""
        [event] = self.ended
        return event


def make_settlement(clock: FakeClock) -> tuple[Settlement, Ledger, list[Observation]]:
    ledger, observed = Ledger(), list[Observation]()
    settlement = Settlement(cast("UsageRecorder", ledger), clock, observed.append)
    return settlement, ledger, observed


class NothingSpent:
    """A ledger without a past."""

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        return NOTHING


def make_admission(
    clock: Clock,
    *,
    gap: MinimumGap | None = None,
    approval: Approval | None = None,
    slots: int = 8,
    queue_seconds: float = 60.0,
    max_waiting: int = 200,
    limits: AdmissionLimits | None = None,
) -> Admission:
    """Admission as the gateway has it, in memory."""
    quotas = LocalQuotas(clock, limits or AdmissionLimits(), NothingSpent())
    line = Slots(Brake(slots), clock, queue_seconds=queue_seconds, max_waiting=max_waiting)
    return Admission(clock, quotas, line, gap=gap, approval=approval)


class GivenPermit(Permit):
    """A permit that was given after so many seconds; what it was told it took."""

    def __init__(self, queue_seconds: float = 0.0, reserved: Amounts = NOTHING, notes: tuple[str, ...] = ()) -> None:
        super().__init__(cast("Quotas", None), Reservation(reserved, notes, ()), queue_seconds)
        self.settled: list[Amounts] = []
        self.is_given_up = False

    def give_up(self) -> None:
        self.is_given_up = True

    def settle(self, actual: Amounts) -> None:
        self.settled.append(actual)


def make_ask(
    key: ApiKey | None = None, *, request_id: str = "req_1", model: str = "gpt-4.1", is_batch: bool = False
) -> Ask:
    """One request that takes nothing else."""
    return Ask(request_id, key or make_key(), model, NOW, is_batch, (0, 0.0, 0, 1), (0, 0.0, 0, 1))


def make_key(*models: str, tier: Tier = Tier.CLIENT) -> ApiKey:
    return ApiKey("key_1", "the label", tier, "sk-cap-aaaa", NOW, KeyPolicy(models or ("*",)))


def make_model(model_id: str = "gpt-4.1", *endpoints: str, is_enabled: bool = True, multiplier: float = 1.0) -> Model:
    return Model(
        id=model_id,
        name=model_id.upper(),
        vendor="Vendor",
        type="chat",
        endpoints=frozenset(endpoints or ("/chat/completions",)),
        is_enabled=is_enabled,
        multiplier=multiplier,
        traits=ModelTraits(id=model_id),
    )


def make_call(clock: FakeClock, body: bytes = b"", surface: Surface = CHAT_SURFACE) -> Call:
    async def read_body() -> bytes:
        return body

    return Call("req_1", surface, "curl", clock.now(), clock.monotonic(), read_body)


class StubReply:
    """An upstream's reply from a list: bytes, silences, and perhaps an error at the end."""

    def __init__(
        self, *pieces: bytes | Silence | TransportError, content_type: bytes = b"text/event-stream", status: int = 200
    ) -> None:
        self._pieces = list(pieces)
        self.content_type = content_type
        self.status = status
        self.closed = 0

    @property
    def headers(self) -> Mapping[str, str]:
        return {"content-type": self.content_type.decode()}

    async def read(self) -> bytes | Silence:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, TransportError):
            raise piece
        return piece

    async def read_all(self) -> bytes:
        whole = b""
        while piece := await self.read():
            if isinstance(piece, bytes):
                whole += piece
        return whole

    def close(self) -> None:
        self.closed += 1


class KeptAnswer:
    """An answer that is kept. `fails_at` has the client leave at the n-th write."""

    def __init__(self, ledger: Ledger | None = None, *, fails_at: int | None = None) -> None:
        self.is_started = False
        self.has_events = False
        self.rates: tuple[Rate, ...] = ()
        self.notes: list[bytes] = []
        self.body = b""
        self.writes: list[bytes] = []
        self.is_ended = False
        self.keep_alives = 0
        self.dropped: tuple[str, ...] = ()
        self.stream: StreamRelay | None = None
        self.ended_before: list[bool] = []
        """For each thing sent whether the event was in the ledger by then."""
        self._ledger = ledger
        self._fails_at = fails_at

    async def send_whole(self, body: bytes) -> None:
        await self._take(body)
        self.is_ended = True

    def begin(self, stream: StreamRelay, media_type: bytes) -> None:
        self.stream = stream
        assert media_type.startswith(b"text/event-stream")

    async def note(self, comment: bytes) -> None:
        self.is_started = True
        if comment == KEEP_ALIVE:
            self.keep_alives += 1
        else:
            self.notes.append(comment)

    async def write(self, events: bytes) -> None:
        self.has_events = True
        await self._take(events)

    async def end(self, events: bytes) -> None:
        await self._take(events)
        self.is_ended = True

    async def _take(self, data: bytes) -> None:
        assert not self.is_ended, "something follows the end"
        if self._fails_at == len(self.writes):
            raise ConnectionResetError("the client is gone")
        self.is_started = True
        self.body += data
        self.writes.append(data)
        if self._ledger is not None:
            self.ended_before.append(bool(self._ledger.ended))
