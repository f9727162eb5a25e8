"""Cost against the size of the codebook (Figure 2)."""

import multiprocessing
import signal
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..memory import available_memory
from ..models.cost import model_cost
from ..quantizers import build_quantizer
from ..timing import out_of_memory, peak_memory, time_in_turn
from . import Progress, register_benchmark
from .quantizer import forward_backward
from .tables import Table, giga, mebibytes, milliseconds

CODEBOOK_FORMS = {
    "svq_raw": ("svq_raw", {}),
    "svq reference": ("svq", {"form": "reference"}),
    "svq folded": ("svq", {}),
}


@register_benchmark("codebook", "FLOPs and time against the size of the codebook: Figure 2")
def codebook_table(
    sizes: Sequence[int] = tuple(2**k for k in range(6, 15)),
    shape: tuple[int, int, int, int] = (12, 32, 16, 32),
    rounds: int = 3,
    time_limit: float = 60.0,
    memory_limit: float | None = None,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """Figure 2: FLOPs and time (forward and backward) of the quantizer alone against the size of its codebook.

    Each method runs in a process of its own, from the smallest codebook up. Running out of memory or of time is a
    result: it is noted, and the larger codebooks of that method are not tried.

    Args:
        shape: ``(N, C', H, W)`` of the latent; by default one input of WeatherBench-S.
        time_limit: seconds for one size.
        memory_limit: GiB; by default 80 % of what is free.
    """
    free = available_memory(device)
    limit = int(memory_limit * 2**30) if memory_limit else None if free is None else int(0.8 * free)
    rows: list[dict] = [{"codes": size} for size in sorted(sizes)]
    for label, (name, settings) in CODEBOOK_FORMS.items():
        key = label.replace(" ", "_")
        failed = ""
        with Worker(_measure_codebook, (name, settings, shape, rounds, str(device), limit)) as worker:
            for row in rows:
                if progress:
                    progress(f"{label}, {row['codes']:,} codes")
                row[f"{key}_flops"] = _quantizer_flops(name, settings, shape, row["codes"])
                answer = f"not tried ({failed})" if failed else worker.ask(row["codes"], time_limit)
                if isinstance(answer, str):
                    failed = failed or answer
                    row[f"{key}_result"] = answer
                else:
                    row |= {f"{key}_{k}": v for k, v in answer.items()}
                    row[f"{key}_result"] = milliseconds(answer["seconds"])

    columns: dict = {"codes": ("Codes", ",")}
    for label in CODEBOOK_FORMS:
        key = label.replace(" ", "_")
        columns |= {
            f"{key}_flops": (f"{label}: FLOPs", giga),
            f"{key}_result": "time",
            f"{key}_memory": ("memory", mebibytes),
        }
    n, c, h, w = shape
    memory = "" if limit is None else f", {limit / 2**30:.1f} GiB"
    return Table(
        columns,
        rows,
        f"Cost against the size of the codebook, latent {n} x {c} x {h} x {w} (Figure 2)",
        [
            f"FLOPs of the forward pass; time and peak memory of forward and backward, median of {rounds} runs.",
            f"Limits: {time_limit:g} s for one size{memory}. After a method's first failure larger sizes are not tried.",
        ],
    )


def _quantizer_flops(name, settings, shape, codebook_size) -> int:
    with torch.device("meta"):  # shapes are enough, so no size is too large to count
        quantizer = build_quantizer(name, shape[1], codebook_size=codebook_size, **settings)
        return model_cost(_Quantized(quantizer), torch.empty(shape)).flops


class Worker:
    """A process that answers questions one by one, and whose death or silence is an answer too."""

    def __init__(self, function: Callable, arguments: tuple):
        # A fork would inherit the thread pools of this process without their threads.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.connection.recv()  # ready: its imports are not on the clock

    def ask(self, question: Any, time_limit: float) -> Any:
        self.connection.send(question)
        if not self.connection.poll(time_limit):
            return f"over {time_limit:g} s"
        try:
            answer = self.connection.recv()
        except EOFError:
            self.process.join()
            # What Linux does to a process that takes too much.
            if hasattr(signal, "SIGKILL") and self.process.exitcode == -signal.SIGKILL:
                return "out of memory"
            return f"process ended with status {self.process.exitcode}"
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.connection.close()
        self.process.kill()
        self.process.join()


def _measure_codebook(connection, name, settings, shape, rounds, device, memory_limit):
    """Runs in a process of its own: codebook sizes come in, measurements or "out of memory" go out."""
    if torch.device(device).type == "cpu" and memory_limit is not None:
        _limit_memory(memory_limit)
    elif memory_limit is not None and torch.device(device).type == "cuda":
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory_limit / torch.cuda.mem_get_info(device)[1]), device)
    connection.send("ready")
    while True:
        try:
            size = connection.recv()
        except EOFError:
            return
        try:
            torch.manual_seed(0)
            quantizer = build_quantizer(name, shape[1], codebook_size=size, **settings).to(device)
            latent = torch.randn(shape, device=device, requires_grad=True)
            call = forward_backward(quantizer, latent, torch.randn(shape, device=device))
            seconds = time_in_turn({"call": call}, rounds, device)["call"]
            quantizer.zero_grad()
            latent.grad = None
            connection.send({"seconds": statistics.median(seconds), "memory": peak_memory(call, device)})
        except Exception as error:  # whatever it is, the other process is to say it
            connection.send("out of memory" if out_of_memory(error) else error)


class _Quantized(nn.Module):
    """A quantizer that returns a tensor, as tracing wants."""

    def __init__(self, quantizer):
        super().__init__()
        self.quantizer = quantizer

    def forward(self, z):
        return self.quantizer(z).quantized


def _limit_memory(limit: int) -> None:
    """Lets an allocation beyond ``limit`` bytes fail, where the system can: better than a process killed."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + limit
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
