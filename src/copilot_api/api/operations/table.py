"""Every operation of the admin API. What is not here is not served."""

from copilot_api.api.operations import account, config, keys, ledger, people, standing, traces
from copilot_api.api.operations.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *standing.OPERATIONS,
    *keys.OPERATIONS,
    *account.OPERATIONS,
    *ledger.OPERATIONS,
    *traces.OPERATIONS,
    *config.OPERATIONS,
    *people.OPERATIONS,
)
BY_ID = {operation.id: operation for operation in OPERATIONS}


def find_operation(method: str, path: str) -> Operation | None:
    """The operation that answers this method on this path; None where there is none."""
    return find_methods(path).get(method)


def find_methods(path: str) -> dict[str, Operation]:
    """The operations on a path, by method; a path without names in it goes before one with names."""
    exact = _EXACT.get(path)
    if exact is not None:
        return exact
    for operations in _NAMED:
        if operations[0].pattern.fullmatch(path):
            return {operation.method: operation for operation in operations}
    return {}


def _group() -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        groups.setdefault(operation.path, []).append(operation)
    return groups


_EXACT: dict[str, dict[str, Operation]] = {
    path: {operation.method: operation for operation in operations}
    for path, operations in _group().items()
    if "{" not in path
}
_NAMED = [operations for path, operations in _group().items() if "{" in path]
