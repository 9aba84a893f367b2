"""Nets that a function of the user's builds: load it from its source, call it, and say in a line what goes wrong."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import nn

from study.config.own_nets import LOADED_AS, OwnNets, OwnNetsError, module_digest, place_in_own_nets
from study.errors import nearest, printable

MAX_MESSAGE = 300
"""Maximal characters of a message from the user's code."""


def build_own(
    own: OwnNets,
    depth: int,
    *,
    residual: bool,
    num_classes: int,
    in_channels: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a net by the user's function, with weights drawn from `generator`.

    Raises:
        OwnNetsError: the source can't be loaded, is another one here, or doesn't return a net.
        Exception: any that the function raises.
    """
    net = load_function(own)(
        depth=depth,
        residual=residual,
        num_classes=num_classes,
        in_channels=in_channels,
        generator=generator or torch.Generator().manual_seed(0),
    )
    if inspect.iscoroutine(net):
        net.close()  # else Python warns that it was never awaited
    if not isinstance(net, nn.Module):
        raise OwnNetsError(f"{own.place} returns a {type(net).__name__}, not a torch.nn.Module")
    return net


def load_function(own: OwnNets) -> Callable[..., Any]:
    """Return the user's function; its file or module runs once a process.

    Raises:
        OwnNetsError: the file or module can't be run, is another one here, or has no such function.
    """
    with in_a_line(own, f"in loading {own.module}"):
        module = _load_file(own) if own.path else _load_module(own)
    function = getattr(module, own.function, None)
    if function is None:
        hint = nearest(own.function, [name for name, value in vars(module).items() if callable(value)])
        raise OwnNetsError(f"{own.path or own.module}: it has no function '{own.function}'{hint}")
    if not callable(function):
        raise OwnNetsError(f"{own.path or own.module}: '{own.function}' is no function: {type(function).__name__}")
    build: Callable[..., Any] = function
    return build


def _load_file(own: OwnNets) -> ModuleType:
    name = f"study_own_nets_{own.digest}"
    if name in sys.modules:
        return sys.modules[name]
    code = compile(own.text(), own.path, "exec", dont_inherit=True)
    module = ModuleType(name)
    vars(module).update({"__file__": own.path, LOADED_AS: own.digest})
    sys.modules[name] = module  # dataclasses look their module up while it runs
    try:
        exec(code, vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_module(own: OwnNets) -> ModuleType:
    here = module_digest(own.module)
    if here != own.digest:
        raise OwnNetsError(
            f"module '{own.module}' is another one here ({here}; the study's is {own.digest}): install the same "
            "version everywhere, or start the study again"
        )
    module = importlib.import_module(own.module)
    if vars(module).setdefault(LOADED_AS, here) != here:
        raise OwnNetsError(f"module '{own.module}' was changed after it was loaded: start Python again")
    return module


@contextmanager
def in_a_line(own: OwnNets, doing: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a line with its file, its line and its message.

    Raises:
        OwnNetsError: the code raised an exception, or asked Python to exit.
    """
    try:
        yield
    except OwnNetsError:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:MAX_MESSAGE]
        kind = "" if type(error) is ValueError else type(error).__name__
        raise OwnNetsError(
            printable(f"{': '.join(filter(None, (_where(own, error), kind, text)))} ({doing})")
        ) from None


def _where(own: OwnNets, error: BaseException) -> str:
    """Return file and line where the user's code last was before an error; the function's own where it wasn't in it."""
    if isinstance(error, SyntaxError) and error.filename == own.path:
        return f"{own.path}:{error.lineno}"
    if place := place_in_own_nets(error):
        return place
    module = sys.modules.get(f"study_own_nets_{own.digest}") if own.path else sys.modules.get(own.module)
    code = getattr(getattr(module, own.function, None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else own.path or own.module
