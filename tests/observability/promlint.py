"""What `promtool check metrics` would say of a text in Prometheus' classic form, and what else has to be true of one."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]

_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_NO_BASE_UNIT = {"ms", "milliseconds", "us", "microseconds", "ns", "nanoseconds", "minutes", "hours", "days", "kb", "mb", "percent"}  # fmt: skip
_TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")


def find_faults(text: str) -> list[str]:
    """Everything that is wrong with a scrape; empty for a good one."""
    heads = [line.split(" ", 3) for line in text.splitlines() if line.startswith("#")]
    helped = [words[2] for words in heads if words[1] == "HELP" and len(words) > 3 and words[3]]
    types = {words[2]: words[3] for words in heads if words[1] == "TYPE"}
    faults = [f"{name}: described twice" for name, times in Counter(helped).items() if times > 1]
    faults += [f"{name}: no HELP" for name in types if name not in helped]
    faults += [f"{name}: of an unknown type" for name, kind in types.items() if kind not in _TYPES]
    faults += _faults_of_lines(text, types)
    for name, kind in types.items():
        faults += [f"{name}: {fault}" for fault in _faults_of_name(name, kind)]
    for family in text_string_to_metric_families(text):
        if family.type == "histogram":
            faults += _faults_of_histogram(family)
    return faults


def _faults_of_lines(text: str, types: Mapping[str, str]) -> list[str]:
    """No sample twice, none without its type, and all of a family together."""
    if not text.endswith("\n"):
        return ["the last line has no end"]
    faults, seen, current, families = list[str](), set[str](), "", list[str]()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current = line.split(" ")[2]
            families.append(current)
        elif not line.startswith("#"):
            series = line.rpartition(" ")[0]
            name = series.partition("{")[0]
            if series in seen:
                faults.append(f"twice: {series}")
            seen.add(series)
            allowed = {current, *(current + end for end in _OF_HISTOGRAMS if types.get(current) == "histogram")}
            if name not in allowed:
                faults.append(f"{name} stands below the head of {current}")
            labels = re.findall(r'(\w+)="', series)
            faults += [f"{name}: the label {label}" for label in labels if not _SNAKE.match(label)]
            if types.get(current) != "histogram" and {"le", "quantile"} & set(labels):
                faults.append(f"{name}: a label that is a histogram's")
    return faults + [f"{name}: in two places" for name, times in Counter(families).items() if times > 1]


def _faults_of_name(name: str, kind: str) -> Iterable[str]:
    if not _SNAKE.match(name):
        yield "not in snake case"
    if (kind == "counter") != name.endswith("_total"):
        yield "_total is the end of counters, and of nothing else"
    words = set(name.split("_"))
    if words & (_TYPES - {"summary"}):
        yield "the type is in the name"
    if words & _NO_BASE_UNIT:
        yield "not in a base unit"
    if kind != "histogram" and name.endswith(_OF_HISTOGRAMS):
        yield "the end of a histogram's"


def _faults_of_histogram(family: Metric) -> list[str]:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    ends: dict[str, dict[Labels, float]] = {"_count": {}, "_sum": {}}
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop("le", None)
        if bound is not None:
            buckets.setdefault(frozenset(labels.items()), []).append((float(bound), sample.value))
        else:
            ends[sample.name.removeprefix(family.name)][frozenset(labels.items())] = sample.value
    faults: list[str] = []
    for labels_of, pairs in buckets.items():
        bounds, counts = zip(*pairs, strict=True)
        if list(bounds) != sorted(set(bounds)) or bounds[-1] != float("inf"):
            faults.append(f"{family.name}: the bounds {bounds}")
        if list(counts) != sorted(counts) or counts[-1] != ends["_count"].get(labels_of):
            faults.append(f"{family.name}: the counts {counts}")
        if labels_of not in ends["_sum"]:
            faults.append(f"{family.name}: no sum")
    return faults if set(buckets) == set(ends["_count"]) else [*faults, f"{family.name}: counts without buckets"]


def values_of(text: str) -> dict[tuple[str, Labels], float]:
    """Every sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def parse_openmetrics(text: str) -> list[Metric]:
    """The families of a text in the other form; the library's parser holds it to the letter of the standard."""
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def sum_of(text: str, name: str, **labels: str) -> float:
    """The sum over all samples of a name with these labels, whatever other labels they have."""
    wanted = set(labels.items())
    return sum(value for (found, of), value in values_of(text).items() if found == name and wanted <= of)
