"""The tools of a Gemini request, and how they are to be used."""

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.gemini import wire
from copilot_api.protocols.gemini.schema import json_schema
from copilot_api.protocols.json_object import wrong_field

_Declarations = list[wire.FunctionDeclaration] | wire.FunctionDeclaration | None
_DECLARATIONS = "functionDeclarations"
_MODE_PATH = "toolConfig.functionCallingConfig.mode"
_ALLOWED_PATH = "toolConfig.functionCallingConfig.allowedFunctionNames"


def read_tools(request: wire.Request) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The functions, and the names of Google's own tools, which nobody here can run."""
    given = request.tools if isinstance(request.tools, list) else [request.tools] if request.tools else []
    functions: list[Tool] = []
    hosted: list[str] = []
    for place, tool in enumerate(given):
        for kind, raw in tool.items():
            if kind == _DECLARATIONS:
                functions += _functions(raw, f"tools[{place}].{_DECLARATIONS}")
            elif wire.is_given(raw):
                hosted.append(kind)
    return tuple(functions), tuple(dict.fromkeys(hosted))


def _functions(raw: msgspec.Raw, path: str) -> list[Tool]:
    try:
        found: _Declarations = msgspec.json.decode(raw, type=_Declarations)
    except msgspec.ValidationError as error:
        raise wrong_field(error, path) from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the field '{path}' is not valid JSON: {error}", param=path) from None
    declared = found if isinstance(found, list) else [found] if found is not None else []
    return [_function(declaration, f"{path}[{place}]") for place, declaration in enumerate(declared)]


def _function(declaration: wire.FunctionDeclaration, path: str) -> Tool:
    if not declaration.name:
        raise BadRequest(f"the field '{path}.name' is required", param=f"{path}.name")
    if declaration.parameters_json_schema is not None:
        parameters = declaration.parameters_json_schema
    else:
        parameters = json_schema(declaration.parameters or {})
    return Tool(name=declaration.name, description=declaration.description or "", parameters=parameters)


def read_tool_choice(request: wire.Request, functions: tuple[Tool, ...], hosted: tuple[str, ...]) -> ToolChoice | None:
    """What the client said of calling functions. Raises `BadRequest` when it insists on a tool that there is not."""
    config = request.tool_config.function_calling_config if request.tool_config else None
    if config is None:
        return None
    mode = (config.mode or "MODE_UNSPECIFIED").upper()
    if mode not in {"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"}:
        raise BadRequest(f"the field '{_MODE_PATH}' is none of AUTO, ANY, NONE, VALIDATED", param=_MODE_PATH)
    if mode == "NONE":
        return ToolChoice(mode="none")
    if mode == "ANY" and hosted and not functions:
        raise BadRequest(
            f"a call is demanded, but of the tools ({', '.join(hosted)}) the gateway can offer none; declare functions",
            param="tools",
        )
    allowed = _allowed(config, functions)
    if mode != "ANY":
        return ToolChoice(mode="auto", allowed=allowed) if allowed or mode != "MODE_UNSPECIFIED" else None
    if allowed is not None and len(allowed) == 1:
        return ToolChoice(mode="tool", name=allowed[0])
    return ToolChoice(mode="any", allowed=allowed)


def _allowed(config: wire.FunctionCallingConfig, functions: tuple[Tool, ...]) -> tuple[str, ...] | None:
    allowed = tuple(dict.fromkeys(config.allowed_function_names or ()))
    declared = {tool.name for tool in functions}
    for name in allowed:
        if name not in declared:
            raise BadRequest(
                f"the field '{_ALLOWED_PATH}' names {name[:100]!r}, which is not declared in 'tools'",
                param=_ALLOWED_PATH,
            )
    return allowed or None
