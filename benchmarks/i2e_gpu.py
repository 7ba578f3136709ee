"""I2E on a GPU: the Triton kernel and torch.compile against the paper's formulation, and against the memory.

    python benchmarks/i2e_gpu.py > benchmarks/results/i2e_gpu.txt

Times are of the device alone (CUDA events over many calls, nothing waits in between); images and frames stay on
the GPU. Without a GPU it says so and measures nothing. State of the committed results: unmeasured, no GPU
was at hand; the Triton kernel is tested bit for bit in Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from i2e import BATCHES, RATIO, SIZES, STEPS, paper_formulation, paper_kernels
from rows import NotRun, Row
from torch import Tensor

from i2e_deploy.conversion import i2e_torch


def device_ms(function: Callable[[], Tensor], calls: int = 50) -> float:
    """Milliseconds a call."""
    for _ in range(5):
        function()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(calls):
        function()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / calls


def copy_speed() -> float:
    """Bytes a second, read plus written, of a large copy on the device."""
    source = torch.zeros(1 << 29, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / device_ms(lambda: target.copy_(source)) * 1e3


def short() -> Iterator[Row | NotRun]:
    """For `check.py`: the paper's formulation over the Triton kernel."""
    if not torch.cuda.is_available():
        yield NotRun("no GPU")
        return
    from i2e_deploy.conversion.triton_i2e import i2e_triton

    weight = paper_kernels().cuda()
    for batch in BATCHES:
        images = torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8, device="cuda")
        floats = images.float() / 255
        plain = device_ms(lambda floats=floats: paper_formulation(floats, weight))  # type: ignore[misc]
        fused = device_ms(lambda images=images: i2e_triton(images, RATIO))  # type: ignore[misc]
        yield Row(f"224 px, batch {batch}, torch / Triton kernel", plain / fused)


def main() -> None:
    if not torch.cuda.is_available():
        print("no GPU: unmeasured")
        return
    from i2e_deploy.conversion.triton_i2e import i2e_triton

    speed, weight, compiled = copy_speed(), paper_kernels().cuda(), torch.compile(i2e_torch)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, copy speed {speed / 1e9:.0f} GB/s\n")
    print("| px | batch | paper's formulation ms | torch.compile ms | Triton ms | ratio | images/s | of copy speed |")
    print("|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        for batch in (*BATCHES, 256):
            images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device="cuda")
            floats = images.float() / 255
            assert torch.equal(i2e_triton(images, RATIO), i2e_torch(images, RATIO))
            plain = device_ms(lambda floats=floats: paper_formulation(floats, weight))  # type: ignore[misc]
            inductor = device_ms(lambda images=images: compiled(images, RATIO))  # type: ignore[misc]
            fused = device_ms(lambda images=images: i2e_triton(images, RATIO))  # type: ignore[misc]
            share = (3 + 2 * STEPS) * size * size * batch / speed / (fused / 1e3)
            print(
                f"| {size} | {batch} | {plain:.4f} | {inductor:.4f} | {fused:.4f} | {plain / fused:.1f}x "
                f"| {1e3 * batch / fused:,.0f} | {100 * share:.0f} % |"
            )


if __name__ == "__main__":
    main()
