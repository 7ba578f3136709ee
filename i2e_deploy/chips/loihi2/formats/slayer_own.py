"""Code in a SLAYER block that is not SLAYER's: its parameters then do not say what the block computes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Packages whose modules are read as they are; ours: `training.fused_cuba`, equal to SLAYER bit for bit.
_KNOWN = ("lava.lib.dl.slayer.", "torch.")
_FUSED = "i2e_deploy.training.fused_cuba"
_HARMLESS = {"__module__", "__doc__", "__init__", "__dict__", "__weakref__", "__annotations__", "__qualname__",
             "__firstlineno__", "__static_attributes__"}  # fmt: skip


def replaced(parts: Iterable[Any]) -> str:
    """A function of a class that stands on the object itself, by which a copy may run the original; "" if none."""
    for part in parts:
        for key, value in vars(part).items():
            function = getattr(value, "func", value)
            if callable(getattr(type(part), key, None)) and getattr(function, "__module__", "") != _FUSED:
                return f"{key} of a {type(part).__name__}"
    return ""


def own_code(block: Any) -> str:
    """What of a block's modules is not SLAYER's or torch's: methods and hooks; "" where nothing is.

    Hooks of the block itself are not meant: they are seen where they act (`slayer_graph`).
    """
    for name, part in block.named_modules():
        where = f" of {name}" if name else ""
        for kind in type(part).__mro__[:-1]:
            changed = sorted(set(vars(kind)) - _HARMLESS)
            if changed and not kind.__module__.startswith(_KNOWN):
                return f"{kind.__name__}.{changed[0]}{where} of its own"
        drop = getattr(part, "drop", None)
        if drop is not None and not hasattr(drop, "training"):
            return f"a dropout{where} that evaluation does not switch off"
        hooks = [*part._forward_pre_hooks.values(), *part._forward_hooks.values()] if name else []
        for hook in hooks:
            function = getattr(hook, "__func__", hook)
            package = getattr(function, "__module__", None) or type(hook).__module__
            if not (package.startswith("torch.nn.utils.") or type(hook).__module__.startswith("torch.nn.utils.")):
                return f"a hook {getattr(function, '__name__', type(hook).__name__)}{where}"
    return ""
