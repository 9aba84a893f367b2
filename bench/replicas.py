"""Whether runs of one net that differ in seed train faster as one: grouped convolutions, vmap, or graphs on streams.

    python bench/replicas.py [--net plain-20] [--side 8] [--replicas 4] [--device cuda] [--json FILE]

Times a training step of each way on random images, by turns: the nets one after another (what `study run` does, but for
processes side by side), grouped (channels of all nets in one tensor, a group a net; batch normalisation is by channel,
so each net keeps its own), and vmapped over stacked parameters. `farthest` is the largest difference of any loss of the
steps from that of the net alone. A way that fails has the reason in its row. On a CPU one thread is
used, as by a worker. On a GPU a second table has the program's own iterations (`bench/graphs.py`): kernel by kernel, as
a CUDA graph, as several, with what the host launches for each: less than four minutes, by what its parts took there.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from graphs import measure_ways
from torch import Tensor, nn

from study.nets import build_net, join
from study.probe.surface import use_native_norms
from study.train import arithmetic, settle_cublas

BATCH, CLASSES, STEPS, WARM = 128, 10, 12, 3
Step = Callable[[], Tensor]


def nets(name: str, count: int, device: torch.device) -> list[nn.Module]:
    """Return nets that differ in their weights."""
    made = [build_net(name, CLASSES, generator=torch.Generator().manual_seed(seed)) for seed in range(count)]
    return [net.to(device, memory_format=torch.channels_last) for net in made]  # type: ignore[call-overload]


def sgd(parameters: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)


def one_by_one(made: list[nn.Module], images: Tensor, labels: Tensor, bf16: bool) -> Step:
    """Images (R, N, C, H, W), labels (R, N) -> a step that gives the losses (R,)."""
    optimizers = [sgd(list(net.parameters())) for net in made]

    def step() -> Tensor:
        losses = []
        for net, optimizer, x, y in zip(made, optimizers, images, labels, strict=True):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
                logits = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    return step


def grouped(made: list[nn.Module], images: Tensor, labels: Tensor, bf16: bool) -> Step:
    """Return the same of the program's own joined nets."""
    together = join(made)
    optimizers = [sgd(list(net.parameters())) for net in made]
    side_by_side = images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)  # (N, R C, H, W)

    def step() -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = together(side_by_side)  # (R, N, K)
        losses = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction="none").mean(1)
        for optimizer in optimizers:
            optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        return losses.detach()

    return step


def vmapped(made: list[nn.Module], images: Tensor, labels: Tensor, bf16: bool) -> Step:
    """Return the same over stacked parameters; batch normalisation keeps no running statistics: training needs none."""
    for net in made:
        torch.func.replace_all_batch_norm_modules_(net)
        use_native_norms(net)
    parameters, buffers = torch.func.stack_module_state(made)
    skeleton = copy.deepcopy(made[0]).to("meta")
    optimizer = sgd(list(parameters.values()))

    def loss(values: dict[str, Tensor], others: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = torch.func.functional_call(skeleton, (values, others), (x,))
        return F.cross_entropy(logits.float(), y)

    def step() -> Tensor:
        each = torch.func.vmap(loss)(parameters, buffers, images, labels)
        optimizer.zero_grad()
        each.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return each.detach()

    return step


@dataclass
class Timed:
    """A way and what its steps came to; `problem` is why there are no more of them."""

    make: Callable[[], Step]
    step: Step | None = None
    times: list[float] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    problem: str = ""

    def take(self) -> None:
        """Take a step; do nothing once one has failed."""
        if self.problem:
            return
        try:
            self.step = self.step or self.make()
            began = time.perf_counter()
            self.losses.append(self.step().cpu())  # waits for the device
            self.times.append(time.perf_counter() - began)
        except RuntimeError as error:
            self.problem = f"{type(error).__name__}: {error}".splitlines()[0].replace("|", "/")

    def result(self, alone: "Timed", count: int) -> dict[str, float | str]:
        """Return ms a step and net, the ratio to the way that trains nets one by one, and how far losses are apart."""
        if self.problem:
            return {"problem": self.problem}
        if alone.problem:
            return {"problem": "nothing to compare with"}
        ms, base = (1000 * statistics.median(way.times[WARM:]) / count for way in (self, alone))
        apart = max((a - b).abs().max().item() for a, b in zip(self.losses, alone.losses, strict=True))
        return {"ms": ms, "ratio": base / ms, "farthest": apart}


def compare_ways(net: str, side: int, count: int, device: torch.device) -> list[dict[str, Any]]:
    """Time all ways in both formats, and print a table."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, BATCH, 3, side, side, generator=generator).to(device)
    labels = torch.randint(0, CLASSES, (count, BATCH), generator=generator).to(device)
    print("| way | format | ms a step and net | ratio | farthest |\n| --- | --- | ---: | ---: | ---: |")
    rows = []
    for bf16 in (False, True):
        ways = {"one by one": one_by_one, "grouped": grouped, "vmap": vmapped}
        timed = {
            name: Timed(partial(way, nets(net, count, device), images, labels, bf16)) for name, way in ways.items()
        }
        for _ in range(WARM + STEPS):
            for way in timed.values():
                way.take()
        for name, way in timed.items():
            row = {"way": name, "format": "bf16" if bf16 else "fp32"} | way.result(timed["one by one"], count)
            figures = "failed: {problem} | |" if "problem" in row else "{ms:.1f} | {ratio:.2f} | {farthest:.1g}"
            print(f"| {name} | {row['format']} | {figures.format(**row)} |", flush=True)
            rows.append(row)
    return rows


def graph_ways(net: str, side: int, many: list[int], device: torch.device) -> list[dict[str, Any]]:
    """Time the program's iterations on a GPU, and print a table; a CPU has none of it."""
    if device.type != "cuda":
        print("left out: launches, CUDA graphs and their streams, which need a GPU")
        return []
    print("| the program, bf16 | ms an iteration and run | images a second | launches an iteration | MiB a run |")
    print("| --- | ---: | ---: | ---: | ---: |")
    rows = []
    for way in measure_ways(net, side, "bf16", many, device):
        print(way.line(), flush=True)
        rows.append(way.figures())
    return rows


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", help="default: plain-20, on a GPU resnet-20")
    parser.add_argument("--side", type=int, help="of the images in pixels (default: 8, on a GPU 32)")
    parser.add_argument("--replicas", type=int, default=4, help="nets that are trained as one (default: 4)")
    parser.add_argument("--many", default="1,2,4,8", help="graphs at once, on a GPU (default: 1,2,4,8)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    settle_cublas()
    device = torch.device(given.device)
    usual = ("plain-20", 8) if device.type == "cpu" else ("resnet-20", 32)
    net, side = given.net or usual[0], given.side or usual[1]
    if device.type == "cpu":
        torch.set_num_threads(1)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU, one thread"
    about = f"PyTorch {torch.__version__}, {name}, {given.replicas} x {net}, batches of {BATCH}x3x{side}x{side}"
    print(about)
    with arithmetic(device, deterministic=False):
        ways = compare_ways(net, side, given.replicas, device)
    graphs = graph_ways(net, side, [int(runs) for runs in given.many.split(",")], device)
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "ways": ways, "graphs": graphs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
