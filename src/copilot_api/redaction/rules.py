"""
The one table of what a secret looks like.

The rules stand in the order of how much they tell: where two strike the same characters, the placeholder names the
first of them.
"""

from copilot_api.redaction.families.clouds import CLOUDS
from copilot_api.redaction.families.code import CODE
from copilot_api.redaction.families.models import MODELS
from copilot_api.redaction.families.services import SERVICES
from copilot_api.redaction.families.standards import DISCORD, JWT, STANDARDS
from copilot_api.redaction.rule import Rule

GENERIC = "secret"
HEADER = "header"
PARAMETER = "parameter"
CUT = "cut"

_VENDORS = (*CODE, *MODELS, *CLOUDS, *SERVICES)
_BY_PLACE = (
    Rule(HEADER, "the value of a header whose name says that it is secret", "", (), ""),
    Rule(PARAMETER, "the value of a parameter of an address or a form whose name says so", "", (), ""),
    Rule(GENERIC, 'the value behind a name that says so: `password=`, `"client_secret": `, `API_KEY: `', "", (), ""),
    Rule(CUT, "the last unbroken run of characters of what was cut off: half a secret may be in it", "", (), ""),
)

SEARCHED: tuple[Rule, ...] = (*_VENDORS, *STANDARDS)
"""Those that are found by mark and pattern."""
RULES: tuple[Rule, ...] = (*_VENDORS, JWT, DISCORD, *STANDARDS, *_BY_PLACE)
"""All of them; those without a pattern are found otherwise."""
IN_LOGS = [rule.in_logs for rule in RULES if rule.in_logs is not None]
"""Those that a line of the log is searched for: what the gateway itself handles. A line has no time for more."""
RANKS = {rule.name: rank for rank, rule in enumerate(RULES)}
"""Where two rules strike the same characters, the lower rank wins."""
