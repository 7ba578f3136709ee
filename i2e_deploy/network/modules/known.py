"""Which known class a torch module is, and whether it still computes what that class computes.

A class is known by being that very class of that very package, not by its name: torch alone has several `Conv2d`, and
the one of `torch.ao.nn.qat` quantises its weights in `forward`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import FunctionType
from typing import Any

#: What a call of a module goes through.
CALLED = ("__call__", "_wrapped_call_impl", "_call_impl", "forward")
#: Methods that no forward pass in evaluation mode calls; of double-underscored ones, those below count.
_UNCALLED = frozenset((
    "extra_repr", "reset_parameters", "_get_name", "train", "eval", "state_dict", "load_state_dict",
    "_save_to_state_dict", "_load_from_state_dict", "get_extra_state", "set_extra_state", "to", "cuda", "cpu", "float",
    "double", "half", "bfloat16", "type", "_apply", "compile", "zero_grad", "arg_dict", "_param_dict",
))  # fmt: skip
_SPECIAL = frozenset({"__call__", "__getattr__", "__getattribute__", "__setattr__", "__iter__"})


def kind_of(module: Any, leaves: Collection[str]) -> str:
    """The name, without package, of the one of `leaves` that a module is; else words that say what it is instead.

    Args:
        module: a torch module.
        leaves: classes with their package, e.g. `torch.nn.Conv2d`. A subclass is one of them if everything that a
            forward pass calls is that class's own. A class whose forward computes in other ways what one of them does
            says so, `stands_for = "Conv2d"`: that is the user's word, and holds for the methods that this class has.
    """
    own, kinds = type(module), {leaf.rpartition(".")[2]: leaf for leaf in leaves}
    saying = next((base for base in own.__mro__ if "stands_for" in vars(base)), None)
    if saying is not None and not _overridden(module, saying):
        word = str(saying.__dict__["stands_for"])
        return word if word in kinds else f"{_title(own)}, which stands for {word!r}"
    classes = {class_at(leaf): leaf for leaf in leaves}
    for base in own.__mro__:
        if base in classes:
            changed = changes(module, base)
            if not changed:
                return base.__name__
            return f"{_title(own)}, a {classes[base]} with {' and '.join(changed)} of its own"
    return _title(own)


def class_at(path: str) -> type | None:
    """The class `package.Name`; None where that package was not imported, so that no module can be one."""
    package, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(package), name, None)
    root = path.partition(".")[0]
    return found if isinstance(found, type) and found.__module__.partition(".")[0] == root else None


def changes(module: Any, base: type) -> list[str]:
    """Methods and properties of `base` that a forward pass of `module` may call and that are not those of `base`.

    In a subclass, in the instance itself, or put into the library's class from outside.
    """
    root = base.__module__.partition(".")[0]
    patched = [name for name in (*CALLED, "_conv_forward") if _foreign(_defined(base, name), root)]
    return sorted({*patched, *_overridden(module, base)})


def replaced_calls(module: Any) -> list[str]:
    """What stands between a call of a module and the `forward` of its class: overridden calls, a forward of its own."""
    from torch import fx, nn

    own = type(module)
    names = [] if isinstance(module, fx.GraphModule) else CALLED[:3]
    changed = {name for name in names if getattr(own, name) is not getattr(nn.Module, name)}
    return sorted(changed | {name for name in CALLED if name in vars(module)})


def _overridden(module: Any, base: type) -> list[str]:
    """In a subclass, or in the instance."""
    own, held = type(module), vars(module)
    added = {name for part in own.__mro__ if part not in base.__mro__ for name in vars(part)}
    known = {name: _defined(base, name) for name in (*added, *held)}
    return sorted(
        name
        for name, method in known.items()
        if _counts(name, method) and (name in held or _defined(own, name) is not method)
    )


def _defined(own: type, name: str) -> Any:
    """What a class has under a name, as it was defined: no property is run; None: nothing."""
    return next((vars(part)[name] for part in own.__mro__ if name in vars(part)), None)


def _counts(name: str, method: Any) -> bool:
    """Whether a forward pass may call it."""
    if name.startswith("__"):
        return name in _SPECIAL and method is not None
    return isinstance(method, FunctionType | property | classmethod | staticmethod) and name not in _UNCALLED


def _foreign(method: Any, root: str) -> bool:
    """A function that the library did not define; `functools.wraps` does not hide that."""
    if not isinstance(method, FunctionType):
        return False
    return str(method.__globals__.get("__name__")).partition(".")[0] not in (root, "torch")


def _title(own: type) -> str:
    return f"{own.__name__} of {own.__module__}"
