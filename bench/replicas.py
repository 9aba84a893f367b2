"""Whether runs of one net that differ in seed train faster as one: grouped convolutions, or torch.func.vmap.

    python bench/replicas.py [--net plain-20] [--side 8] [--replicas 4] [--device cuda]

Times a training step of each way on random images, by turns: the nets one after another (what `study run` does, but for
processes side by side), grouped (channels of all nets in one tensor, a group a net; batch normalisation is by channel,
so each net keeps its own), and vmapped over stacked parameters. `farthest` is the largest difference of any loss of the
steps from that of the net alone. On a CPU one thread is used, as by a worker.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets import build_net, join

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
    torch.func.replace_all_batch_norm_modules_(made[0])
    for net in made[1:]:
        torch.func.replace_all_batch_norm_modules_(net)
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


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="plain-20")
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    device, count = torch.device(given.device), given.replicas
    if device.type == "cpu":
        torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, BATCH, 3, given.side, given.side, generator=generator).to(device)
    labels = torch.randint(0, CLASSES, (count, BATCH), generator=generator).to(device)
    print(f"PyTorch {torch.__version__}, {device}, {count} x {given.net} at {given.side}x{given.side}")
    print("| way | format | ms a step and net | ratio | farthest |\n| --- | --- | ---: | ---: | ---: |")
    for bf16 in (False, True):
        ways = {"one by one": one_by_one, "grouped": grouped, "vmap": vmapped}
        steps = {name: way(nets(given.net, count, device), images, labels, bf16) for name, way in ways.items()}
        times: dict[str, list[float]] = {name: [] for name in ways}
        losses: dict[str, list[Tensor]] = {name: [] for name in ways}
        for i in range(WARM + STEPS):
            for name, step in steps.items():
                began = time.perf_counter()
                losses[name].append(step().cpu())  # waits for the device
                times[name] += [time.perf_counter() - began] if i >= WARM else []
        for name in ways:
            ms = 1000 * statistics.median(times[name]) / count
            alone = 1000 * statistics.median(times["one by one"]) / count
            apart = max((a - b).abs().max().item() for a, b in zip(losses[name], losses["one by one"], strict=True))
            print(f"| {name} | {'bf16' if bf16 else 'fp32'} | {ms:.1f} | {alone / ms:.2f} | {apart:.1g} |")


if __name__ == "__main__":
    main()
