"""What the kernel says: CPU time and memory of a process tree, how busy each core was, what machine this is."""

import os
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name, which may hold spaces: state, parent, …"""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def process_tree(root: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                children[int(_stat(int(entry.name))[1])].append(int(entry.name))
            except (OSError, IndexError):  # it ended while we looked
                continue
    tree = [root]
    for pid in tree:
        tree += children[pid]
    return tree


def cpu_seconds(root: int) -> float:
    """User and system time of all threads of the tree, and of children that ended and were waited for."""
    total = 0
    for pid in process_tree(root):
        try:
            total += sum(int(value) for value in _stat(pid)[11:15])
        except OSError:
            continue
    return total / TICKS


def anonymous_bytes(root: int) -> int:
    """Private memory of the tree; pages of files and shared ones are left out, since a sum would count them twice."""
    total = 0
    for pid in process_tree(root):
        try:
            lines = (PROC / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
    return total


@dataclass(frozen=True)
class CoreTimes:
    """Ticks of one core since boot. Stolen time is what the hypervisor gave to somebody else."""

    busy: int
    idle: int
    stolen: int

    def since(self, before: "CoreTimes") -> dict[str, float]:
        busy, stolen = self.busy - before.busy, self.stolen - before.stolen
        total = max(1, busy + stolen + self.idle - before.idle)
        return {"busy": round(busy / total, 3), "stolen": round(stolen / total, 3)}


def core_times(core: int) -> CoreTimes:
    for line in (PROC / "stat").read_text().splitlines():
        name, *numbers = line.split()
        if name == f"cpu{core}":
            user, nice, system, idle, iowait, irq, softirq, stolen = (int(number) for number in numbers[:8])
            return CoreTimes(user + nice + system + irq + softirq, idle + iowait, stolen)
    raise ValueError(f"no such core: {core}")


def first_line(*command: str) -> str:
    """The first line a program prints, or nothing if there is no such program; versions come from here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0] if done.returncode == 0 else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def facts() -> dict[str, object]:
    models = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "") if Path("/etc/os-release").exists() else "",
        "load_average_before": _read("/proc/loadavg").split()[:3],
        "congestion_control": _read("/proc/sys/net/ipv4/tcp_congestion_control"),
    }
