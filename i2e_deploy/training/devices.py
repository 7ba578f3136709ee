"""Where a training runs: this process alone, or several processes that add up their gradients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.requirements import install_command
from i2e_deploy.text import record_repr


@dataclass(frozen=True, eq=False)
class Devices:
    """One of the processes of a training.

    Args:
        device: where its part of each batch is computed.
        rank: its number.
        ranks: how many there are.
        fabric: of Lightning, which has started them and connects them; None: this process is alone.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    ranks: int = 1
    fabric: Any = None

    __repr__ = record_repr

    def total(self, values: Tensor) -> Tensor:
        """Values added up over all processes."""
        if self.ranks == 1:
            return values
        moved = values.to(self.device)
        torch.distributed.all_reduce(moved)  # type: ignore[no-untyped-call, unused-ignore]
        return moved.to(values.device)

    def add_gradients(self, network: nn.Module) -> None:
        """Every gradient becomes the sum over all processes, in one message."""
        if self.ranks == 1:
            return
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in _trained(network)]
        self._together(grads, 1)
        for parameter, grad in zip(_trained(network), grads, strict=True):
            parameter.grad = grad

    def average_statistics(self, network: nn.Module) -> None:
        """Running statistics of batch norms become the mean over all processes."""
        if self.ranks > 1:
            found = [b for n, b in network.named_buffers() if "running_" in n and b.is_floating_point()]
            self._together(found, self.ranks)

    @torch.no_grad()
    def _together(self, tensors: Sequence[Tensor], share: int) -> None:
        if not tensors:
            return
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(joined)  # type: ignore[no-untyped-call, unused-ignore]
        for tensor, part in zip(tensors, torch.split(joined, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor) / share)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.ranks > 1:
            self.fabric.barrier()

    def check(self, precision: str) -> None:
        """Refuse a precision that this device only imitates.

        Raises:
            InputError: bfloat16 on a CPU that has no instructions for it.
        """
        if precision == "bfloat16" and self.device.type == "cpu" and not has_bfloat16(cpu_flags()):
            raise InputError(
                "training: precision bfloat16: this CPU has no instructions for it (avx512_bf16, amx_bf16), and a step "
                "takes 1.9 to 8 times as long as in float32 (benchmarks/training.py): take float32, or a GPU"
            )

    def precise(self, precision: str) -> AbstractContextManager[Any]:
        """The context in which a forward pass has this precision."""
        if precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, precision))


def cpu_flags() -> frozenset[str]:
    """What Linux says of an x86 processor's instructions; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2] for line in text.splitlines() if line.startswith("flags"))
    return frozenset(next(flags, "").split())


def has_bfloat16(flags: frozenset[str]) -> bool:
    """Whether a processor multiplies bfloat16 by itself; where nothing is known of it, nothing is held against it."""
    return not flags or bool(flags & {"avx512_bf16", "amx_bf16"})


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def open_devices(kind: str = "auto", number: int = 1) -> Devices:
    """Start the processes of a training, one a device; each then runs what follows.

    With more than one, Lightning Fabric starts this program again for each of the others with the same arguments;
    under `torchrun` they are there already.

    Args:
        kind: `cpu`, `gpu` or `auto`, which is a GPU where there is one.
        number: of devices on this machine.

    Raises:
        InputError: no such devices.
        MissingDependency: several devices need lightning-fabric.
    """
    if kind not in ("auto", "cpu", "gpu"):
        raise InputError(f"devices {kind!r}: choose one of auto, cpu, gpu")
    there = torch.cuda.device_count()
    if kind == "gpu" and not there:
        raise InputError("no GPU is seen by torch: leave out gpu, or install torch for yours")
    gpu = kind == "gpu" or (kind == "auto" and there > 0)
    if number < 1 or (gpu and number > there):
        raise InputError(f"{number} devices: give at least 1" + (f", at most the {there} GPUs that there are" * gpu))
    nodes = _nodes()
    if number == 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        return Devices(torch.device("cuda" if gpu else "cpu"))
    if find_spec("lightning_fabric") is None:
        raise MissingDependency("lightning-fabric", "training on several devices", install_command("lightning-fabric"))
    from lightning_fabric import Fabric

    local = int(os.environ.get("LOCAL_WORLD_SIZE", number))
    fabric = Fabric(
        accelerator="gpu" if gpu else "cpu", strategy="ddp", devices=local, num_nodes=nodes
    )  # fmt: skip
    fabric.launch()
    return Devices(fabric.device, fabric.global_rank, fabric.world_size, fabric)


def _nodes() -> int:
    """Machines, as `torchrun` says it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # Fabric's own processes have the first of the two alone
        return 1
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return max(1, world // local)
