"""Everything one simulator knows; made once an application, and again when it is reset."""

from dataclasses import dataclass

from copilot_api.simulator.accounts import Accounts
from copilot_api.simulator.catalog import Catalog
from copilot_api.simulator.device import DeviceFlows
from copilot_api.simulator.faults import FaultRules
from copilot_api.simulator.ids import Ids
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.prompt_cache import PromptCache
from copilot_api.simulator.quotas import Quotas
from copilot_api.simulator.records import RequestLog, Stats


@dataclass(slots=True)
class Pace:
    """How fast answers come."""

    first_token_seconds: float
    gap_seconds: float
    tokens: int


class Simulation:
    """The state behind all endpoints."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.clock = options.clock
        self.stats = Stats()
        self.log = RequestLog(options)
        self.ids = Ids()
        self.reset()

    def reset(self) -> None:
        """Back to what the options say; calls in flight stay counted, issued tokens are forgotten."""
        options = self.options
        self.catalog = Catalog()
        self.accounts = Accounts(options, self.ids)
        self.quotas = Quotas(options)
        self.device = DeviceFlows(options, self.ids)
        self.rules = FaultRules(options.seed)
        self.cache = PromptCache()
        self.pace = Pace(options.first_token_seconds, options.gap_seconds, options.tokens)
        self.log.clear()
        self.stats.reset()
