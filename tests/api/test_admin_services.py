"""What answers each operation. tests/openapi asks a real gateway every one of them."""

from typing import Any, cast

from copilot_api.api.admin_services import AdminServices, list_config_acts, make_endpoints
from copilot_api.api.config import ConfigApi
from copilot_api.api.operations.table import OPERATIONS


class Anything:
    """Has whatever is asked for, and is told whatever there is to tell."""

    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __fspath__(self) -> str:
        return "/nowhere"


def make_services(**given: Any) -> AdminServices:
    names = AdminServices.__dataclass_fields__
    return AdminServices(**cast("Any", {name: Anything() for name in names} | given))


def test_every_operation_has_something_that_answers_it() -> None:
    assert set(make_endpoints(make_services())) == {operation.id for operation in OPERATIONS}


def test_what_a_gateway_does_not_have_is_not_served() -> None:
    served = set(make_endpoints(make_services(config=None, privacy=None)))
    missing = {operation.id for operation in OPERATIONS} - served
    acts = list_config_acts(cast("ConfigApi", Anything()))
    assert missing == {*acts, "export_privacy", "erase_privacy"}
    assert {operation.id for operation in OPERATIONS if operation.tag == "config"} == set(acts)
