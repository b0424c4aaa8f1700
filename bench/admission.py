"""
What admission costs: CPU microseconds for one call's way through limits, budgets and a free slot and back, with many
keys known.

    python bench/run_admission.py [--keys 10000] [--calls 200000] [--rounds 3]

In one process and without sockets: the wall clock of a thread that does nothing else, by `process_time`. Exit code 1
when a call with every kind of limit costs more than the target.
"""

import argparse
import asyncio
import gc
import random
import statistics
import sys
import time
from dataclasses import replace
from datetime import datetime

from bench.machine import facts
from copilot_api.admission.budget import NOTHING, Amounts
from copilot_api.admission.in_flight import Slots
from copilot_api.admission.models import Ask
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.admission.service import Admission
from copilot_api.clock import SystemClock
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.settings import AdmissionLimits
from copilot_api.gateway.estimate import estimate_input, expect
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.upstream.brake import Brake

TARGET_MICROSECONDS = 25.0
BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 400 + b'"}]}'

BUDGETS = (
    Budget(Unit.CREDITS, Window.DAY, 1e9),
    Budget(Unit.CREDITS, Window.MONTH, 1e9),
    Budget(Unit.TOKENS, Window.HOUR, 1e12),
    Budget(Unit.REQUESTS, Window.WEEK, 1e12),
)
POLICIES = {
    "no limits": KeyPolicy(),
    "requests a minute": KeyPolicy(rpm=1_000_000),
    "every limit, four budgets": KeyPolicy(rpm=1_000_000, tpm=1_000_000_000, max_in_flight=1000, budgets=BUDGETS),
}


class _NothingSpent:
    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:  # noqa: ARG002
        return NOTHING


async def measure(policy: KeyPolicy, keys: int, calls: int, *, everybody: tuple[Budget, ...]) -> float:
    """CPU microseconds a call, estimate included."""
    clock = SystemClock()
    quotas = LocalQuotas(clock, AdmissionLimits(budgets=everybody), _NothingSpent())
    admission = Admission(clock, quotas, Slots(Brake(1000), clock))
    template = ApiKey("", "label", Tier.CLIENT, "", clock.now(), policy)
    known = [replace(template, id=f"key_{number:06d}") for number in range(keys)]
    draw = random.Random(1)
    order = [known[draw.randrange(keys)] for _ in range(calls)]
    for key in known:  # each of them is known before the clock runs
        await _call(admission, key, clock)
    gc.collect()
    began = time.process_time()
    for key in order:
        await _call(admission, key, clock)
    return (time.process_time() - began) / calls * 1e6


async def _call(admission: Admission, key: ApiKey, clock: SystemClock) -> None:
    least, likely = expect(estimate_input(BODY, has_images=False), 500, 1.0, None)
    async with admission.admit(Ask("req", key, "m", clock.now(), False, least, likely)) as permit:
        permit.is_dispatched = True
    permit.settle((1_000_000, 1.0, 900, 1))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)  # as the gateway does
    machine = f"{facts()['cpu']}, Python {sys.version.split()[0]}"
    print(f"{options.keys:,} keys known, {options.calls:,} calls a round, {machine}\n")
    print("| key | µs a call |\n|---|--:|")
    worst = 0.0
    for name, policy in POLICIES.items():
        everybody = BUDGETS if "budgets" in name else ()
        rounds = [
            asyncio.run(measure(policy, options.keys, options.calls, everybody=everybody))
            for _ in range(options.rounds)
        ]
        worst = max(worst, statistics.median(rounds))
        print(f"| {name}{' and four for all keys' if everybody else ''} | {statistics.median(rounds):.1f} |")
    return 1 if worst > TARGET_MICROSECONDS else 0
