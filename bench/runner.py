"""Measure the gateway against a direct call and an nginx hop: `python bench/run.py`. README.md here has the method."""

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine, report
from bench.programs import BENCH, BenchError, LoadResult, Mock, build, find_compiler, run_load, start_mock
from bench.scenarios import GROUPS, Scenario, make_scenarios
from bench.subjects import (
    GatewayCli,
    Running,
    Subject,
    direct,
    make_gateway_cli,
    parse_extra,
    start_gateway,
    start_nginx,
)

PROMPT_TOKENS = 24  # what the mock says of every call
GRACE_SECONDS = 0.3  # what a subject does in the background after its last answer belongs to the bill


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, without the biggest streams")
    parser.add_argument("--rounds", type=int, help="rounds to take medians of (3; 1 with --quick)")
    parser.add_argument("--out", type=Path, default=BENCH / "out" / "result.json", help="where the raw numbers go")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups of scenarios, of {','.join(GROUPS)}")
    parser.add_argument("--subjects", default="direct,nginx,gateway", help="of direct,nginx,gateway")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=URL[,pid=PID][,key=KEY]",
                        help="one more thing to measure; give it the mock as upstream, see --mock-port")  # fmt: skip
    parser.add_argument("--mock-port", type=int, default=0, help="a fixed port for the mock upstream")
    parser.add_argument("--quota-headers", action="store_true", help="answers carry a quota snapshot header")
    parser.add_argument("--nginx-buffer-kb", type=int, default=0, help="nginx reads this much at once, not a page")
    parser.add_argument(
        "--gateway-config", type=Path, help="config.json for the gateway, instead of a raised cap alone"
    )
    parser.add_argument("--gateway-flag", action="append", default=[], help="one more flag for `copilot-api start`")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    for option, known in (("only", GROUPS), ("subjects", ("direct", "nginx", "gateway"))):
        chosen = getattr(arguments, option).split(",")
        if not set(chosen) <= set(known):
            parser.error(f"--{option} takes a list of {','.join(known)}: {','.join(chosen)}")
        setattr(arguments, option, chosen)
    return arguments


def pick_cores() -> tuple[int, int]:
    """One core for the load and the mock, one for the subject."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("needs two cores: one for the load and the mock, one for what is measured")
    return allowed[0], allowed[1]


@dataclass
class Bench:
    """The started world, and one measurement in it."""

    load_program: Path
    mock: Mock
    cores: tuple[int, int]
    subjects: list[Subject] = field(default_factory=list)

    def measure(self, scenario: Scenario, subject: Subject, number: int) -> report.Sample:
        self.send(scenario, subject, is_warm_up=True)
        memory: list[int] = []
        before, began = [machine.core_times(core) for core in self.cores], time.monotonic()
        mock_before, own_before = machine.cpu_seconds(self.mock.process.pid), self._cpu(subject)
        load = self.send(scenario, subject, memory=memory)
        seconds = time.monotonic() - began
        load_core, own_core = (
            machine.core_times(core).since(times) for core, times in zip(self.cores, before, strict=True)
        )
        mock_cpu, own_at_end = machine.cpu_seconds(self.mock.process.pid) - mock_before, self._cpu(subject)
        time.sleep(GRACE_SECONDS)
        own_cpu = self._cpu(subject) - own_before
        load_core["others"] = round(load_core["busy"] - (mock_cpu + load.cpu_seconds) / seconds, 3)
        own_core["others"] = round(own_core["busy"] - (own_at_end - own_before) / seconds, 3)
        return report.Sample(
            round=number, scenario=scenario, subject=subject.name, load=load,
            cpu_seconds=None if subject.pid is None else own_cpu, memory_bytes=max(memory, default=None),
            load_core=load_core, subject_core=own_core, mock_cpu_seconds=mock_cpu,
        )  # fmt: skip

    def send(
        self, scenario: Scenario, subject: Subject, *, is_warm_up: bool = False, memory: list[int] | None = None
    ) -> LoadResult:
        def look() -> None:
            if memory is not None and subject.pid is not None:
                memory.append(machine.anonymous_bytes(subject.pid))

        load = scenario.warm_up() if is_warm_up else scenario.load
        result = run_load(
            self.load_program, load, port=subject.port, path=subject.path, headers=subject.headers, while_running=look
        )
        subject.sent += result.sent
        if is_warm_up and result.failures:
            body = result.raw.get("a_wrong_body", "")
            raise BenchError(
                f"{subject.name} failed while warming up {scenario.name}: {result.failures_by_kind} {body}"
            )
        return result

    @staticmethod
    def _cpu(subject: Subject) -> float:
        return 0.0 if subject.pid is None else machine.cpu_seconds(subject.pid)


def run_rounds(bench: Bench, scenarios: list[Scenario], rounds: int) -> Iterator[report.Sample]:
    """Every subject in turn within a scenario; who begins changes from round to round."""
    for number in range(1, rounds + 1):
        shift = (number - 1) % len(bench.subjects)
        for scenario in scenarios:
            for subject in bench.subjects[shift:] + bench.subjects[:shift]:
                sample = bench.measure(scenario, subject, number)
                cpu = sample.metrics().get("cpu")
                told = "" if cpu is None else f", {cpu:.4f} CPU s per {scenario.unit}"
                bad = f", {sample.load.failures:,} FAILED" if sample.load.failures else ""
                print(f"round {number} {scenario.name} {subject.name}: {sample.load.requests:,} calls, "
                      f"p50 {sample.load.latency_us['p50']:,.0f} us{told}{bad}", file=sys.stderr)  # fmt: skip
                yield sample


def check_ledger(cli: GatewayCli, sent: int, hours: int) -> dict[str, object]:
    """Every call sent with the key must be in the ledger, with the tokens the mock told; it may be a moment late."""
    deadline = time.monotonic() + 20
    while True:
        total = cli.recorded(hours)
        is_equal = total["requests"] == sent and total["input_tokens"] == sent * PROMPT_TOKENS
        if is_equal or time.monotonic() > deadline:
            return {
                "sent": sent, "recorded": total["requests"], "is_equal": is_equal,
                "input_tokens": total["input_tokens"], "input_tokens_told": sent * PROMPT_TOKENS,
            }  # fmt: skip
        time.sleep(0.5)


def versions(cli: GatewayCli | None) -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "compiler": machine.first_line(find_compiler() or "cc", "--version"),
        "nginx": machine.first_line("env", f"PATH={os.defpath}:/usr/sbin:/usr/local/sbin", "nginx", "-v"),
        "gateway": machine.first_line(cli.program, "--version") if cli else "",
        "commit": machine.first_line("git", "-C", str(BENCH), "describe", "--always", "--dirty"),
    }


def print_report(
    result: dict[str, object], samples: report.Samples, scenarios: list[Scenario], names: list[str]
) -> None:
    sys.stderr.flush()
    print(f"\n{machine_line(result)}\n\n{report.render_table(samples, scenarios, names)}")
    print(f"\nbusy: load's core / subject's core\n{report.render_cores(samples, scenarios, names)}")
    for doubt in report.find_doubts(samples):
        print(f"note: {doubt}")
    if ledger := result["ledger"]:
        print(f"ledger: {json.dumps(ledger)}")


def machine_line(result: dict[str, object]) -> str:
    about, found = result["machine"], result["versions"]
    if not isinstance(about, dict) or not isinstance(found, dict):
        return ""
    return (f"measured {result['measured_at']} on {about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, "
            f"CPython {found['python']}, {found['nginx']}, rounds: {result['rounds']}")  # fmt: skip


def find_problems(result: dict[str, object], samples: report.Samples) -> list[str]:
    problems = report.find_failures(samples)
    ledger = result["ledger"]
    if isinstance(ledger, dict) and not ledger["is_equal"]:
        problems.append(f"the ledger differs from what was sent: {json.dumps(ledger)}")
    if result["gateway_exit_code"] not in {None, 0}:
        problems.append(f"the gateway ended with code {result['gateway_exit_code']}")
    return problems


@dataclass
class Started:
    """The gateway's side of a run, if the gateway is measured: its command line, its program, what its ledger says."""

    cli: GatewayCli | None = None
    gateway: Running | None = None
    ledger: dict[str, object] | None = None

    def check_ledger(self, hours: int) -> None:
        if self.cli and self.gateway:
            self.ledger = check_ledger(self.cli, self.gateway.subject.sent, hours)


def start_subjects(arguments: argparse.Namespace, bench: Bench, home: Path, stack: contextlib.ExitStack) -> Started:
    started, core = Started(), bench.cores[1]
    for name in arguments.subjects:
        if name == "direct":
            bench.subjects.append(direct(bench.mock))
        elif name == "nginx":
            running = stack.enter_context(start_nginx(home / "nginx", bench.mock, core, arguments.nginx_buffer_kb))
            bench.subjects.append(running.subject)
        else:
            started.cli = make_gateway_cli(home / "gateway", bench.mock, arguments.gateway_config)
            running = start_gateway(started.cli, core, tuple(arguments.gateway_flag))
            started.gateway = stack.enter_context(running)
            bench.subjects.append(running.subject)
    bench.subjects += [parse_extra(text) for text in arguments.extra]
    return started


def measure(arguments: argparse.Namespace, home: Path) -> int:
    began, facts = time.monotonic(), machine.facts()
    mock_program, load_program = build()
    cores = pick_cores()
    os.sched_setaffinity(0, {cores[0]})  # the mock, the load and this program; subjects go to the other core
    scenarios = make_scenarios(is_quick=arguments.quick, groups=arguments.only)
    with contextlib.ExitStack() as stack:
        flags = ("--quota-headers",) if arguments.quota_headers else ()
        mock = stack.enter_context(start_mock(mock_program, port=arguments.mock_port, flags=flags))
        bench = Bench(load_program, mock, cores)
        started = start_subjects(arguments, bench, home, stack)
        samples = report.Samples(run_rounds(bench, scenarios, arguments.rounds))
        started.check_ledger(int((time.monotonic() - began) // 3600) + 1)
    names = [subject.name for subject in bench.subjects]
    result: dict[str, object] = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 1),
        "rounds": arguments.rounds,
        "options": {name: str(value) for name, value in vars(arguments).items()},
        "machine": facts,
        "versions": versions(started.cli),
        "summary": report.summarise(samples, scenarios, names),
        "doubts": report.find_doubts(samples),
        "ledger": started.ledger,
        "gateway_exit_code": started.gateway.exit_code if started.gateway else None,
        "samples": [one.as_json() for one in samples.all],
    }
    result["problems"] = problems = find_problems(result, samples)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print_report(result, samples, scenarios, names)
    print(f"raw numbers: {arguments.out}", flush=True)
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    if problems:
        print("the figures above are not to be trusted", file=sys.stderr)
    return 1 if problems else 0


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, _end)  # so that what was started is stopped
    try:
        with tempfile.TemporaryDirectory(prefix="copilot-api-bench-") as home:
            return measure(arguments, Path(home))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
