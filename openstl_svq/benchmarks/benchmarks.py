"""What the quantizers cost: the measurements behind the paper's Tables 12 and 13 and Figure 2, and two more.

Every function returns a :class:`~openstl_svq.benchmarks.tables.Table`; ``tools/benchmark.py`` is their command line.
"""

import inspect
import multiprocessing
import signal
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..host import load_config
from ..methods.quantized import USAGE_INTERVAL, USAGE_TOKENS
from ..metrics.structural_similarity import ssim
from ..models import SimVP_SVQ_Model
from ..quantizers import build_quantizer
from ..quantizers.memory import available_memory
from .cost import model_cost
from .tables import Table, giga, mebibytes, mega, microseconds, milliseconds, times
from .timing import out_of_memory, paired_ratio, peak_memory, time_in_turn

Progress = Callable[[str], None] | None

WEATHER_S = {
    "in_shape": (12, 1, 32, 64),
    "hid_S": 32,
    "hid_T": 256,
    "N_S": 2,
    "N_T": 8,
    "model_type": "gSTA",
    "drop_path": 0.1,
}


class Backbone(NamedTuple):
    """A column of Table 12: ``folder`` and ``translator`` name its configs, ``printed`` is what the table says."""

    label: str
    dataname: str
    in_shape: tuple[int, int, int, int]
    folder: str
    translator: str
    printed: tuple[str, str, str, str] | None = None  # parameters and FLOPs of SimVP, then of SimVP+SVQ
    note: str = ""


BACKBONES = (
    Backbone(
        "WeatherBench-S t2m",
        "weather_t2m_5_625",
        (12, 1, 32, 64),
        "weather/t2m_5_625",
        "gSTA",
        ("12.76M", "7.01G", "14.37M", "16.8G"),
    ),
    Backbone(
        "TaxiBJ",
        "taxibj",
        (4, 2, 32, 32),
        "taxibj",
        "ConvNeXt",
        ("7.84M", "2.08G", "9.45M", "3.72G"),
        "TaxiBJ: Table 12's column is the ConvNeXt translator's, although Table 10 names gSTA for Table 14.",
    ),
    Backbone("Human3.6M", "human", (4, 3, 256, 256), "human", "gSTA", ("28.8M", "146.0G", "30.7M", "178.0G")),
    Backbone("KTH", "kth", (10, 1, 128, 128), "kth", "IncepU", ("12.2M", "62.8G", "13.3M", "110.0G")),
    Backbone(
        "KittiCaltech",
        "kitticaltech",
        (10, 3, 128, 160),
        "kitticaltech",
        "gSTA",
        ("15.6M", "96.3G", "16.8M", "156G"),
        "KittiCaltech: OpenSTL's own model counts 96.24G too; OpenSTL's and the paper's tables print 96.3G.",
    ),
    Backbone("WeatherBench-S r", "weather_r_5_625", (12, 1, 32, 64), "weather/r_5_625", "Swin"),
    Backbone("WeatherBench-S uv10", "weather_uv10_5_625", (12, 2, 32, 64), "weather/uv10_5_625", "Swin"),
    Backbone("WeatherBench-S tcc", "weather_tcc_5_625", (12, 1, 32, 64), "weather/tcc_5_625", "gSTA"),
    Backbone("WeatherBench-M", "weather_mv_4_4_s6_5_625", (4, 12, 32, 64), "weather/mv_4_s6_5_625", "MogaNet"),
    Backbone("TaxiBJ", "taxibj", (4, 2, 32, 32), "taxibj", "gSTA"),
)
_FIGURES = ("SimVP's parameters", "SimVP's FLOPs", "SVQ's parameters", "SVQ's FLOPs")
_COST_NOTES = (
    "Multiply-adds of one forward pass at batch 1, counted by fvcore. Printed: Table 12. A figure agrees if it is the "
    "printed one when rounded or cut to the printed digits (.0 of a whole number aside: Table 12 has 178.0G and 110.0G "
    "beside 156G).",
    "Folded FLOPs include forming the fold, which at inference is done once and not for every forecast.",
)


def cost_table(configs_dir, names: Sequence[str] | None = None, progress: Progress = None) -> Table:
    """Table 12 (SimVP and SimVP+SVQ), and the other datasets' backbones beside it.

    Args:
        configs_dir: the folder ``configs`` of the project.
        names: datasets to count, by their names in ``-d``; all by default.
    """
    keys = ("simvp_params", "simvp_flops", "svq_params", "reference_flops")
    rows = []
    for backbone in BACKBONES:
        if names and backbone.dataname not in names:
            continue
        costs = {}
        for kind, name in (("simvp", "SimVP"), ("reference", "SimVP_SVQ"), ("folded", "SimVP_SVQ")):
            if progress:
                progress(f"{backbone.label}, {backbone.translator}, {kind}")
            config = load_config(configs_dir / backbone.folder / f"{name}_{backbone.translator}.py")
            costs[kind] = model_cost(_model_of(config, backbone.in_shape, kind), backbone.in_shape)
        row = {
            "dataset": backbone.label,
            "translator": backbone.translator,
            "simvp_params": costs["simvp"].params,
            "simvp_flops": costs["simvp"].flops,
            "svq_params": costs["reference"].params,
            "reference_flops": costs["reference"].flops,
            "folded_flops": costs["folded"].flops,
            "folded_ratio": costs["folded"].flops / costs["simvp"].flops,
        }
        if backbone.printed:
            apart = [what for key, what, text in zip(keys, _FIGURES, backbone.printed) if not agrees(row[key], text)]
            row |= {
                "simvp_printed": " / ".join(backbone.printed[:2]),
                "svq_printed": " / ".join(backbone.printed[2:]),
                "agrees": f"all but {', '.join(apart)}" if apart else "yes",
            }
        rows.append(row)
    columns = {
        "dataset": "Dataset",
        "translator": "Translator",
        "simvp_params": ("SimVP", mega),
        "simvp_flops": ("FLOPs", giga),
        "simvp_printed": "printed",
        "svq_params": ("SimVP+SVQ", mega),
        "reference_flops": ("FLOPs, reference form", giga),
        "svq_printed": "printed",
        "agrees": "agrees",
        "folded_flops": ("FLOPs, folded", giga),
        "folded_ratio": ("folded / SimVP", times),
    }
    notes = [b.note for b in BACKBONES if b.note and (not names or b.dataname in names)]
    return Table(columns, rows, "Parameters and FLOPs (Table 12)", [*_COST_NOTES, *notes])


def _model_of(config: dict, in_shape, kind: str) -> SimVP_SVQ_Model:
    keys = set(inspect.signature(SimVP_SVQ_Model).parameters) & set(config)
    settings = {key: config[key] for key in keys}
    if kind == "simvp":
        settings["quant_position"] = "none"
    else:
        settings["quantizer_kwargs"] = {**settings["quantizer_kwargs"], "form": kind}
    return SimVP_SVQ_Model(in_shape, **settings)


def agrees(value: float, printed: str) -> bool:
    """Whether ``printed``, such as ``"12.76M"``, is ``value`` rounded or cut to the digits that are printed."""
    number = printed[:-1].removesuffix(".0")
    decimals = len(number.partition(".")[2])
    scaled = value / {"M": 1e6, "G": 1e9}[printed[-1]]
    unit = 10**-decimals
    return 0 <= scaled - float(number) < unit or abs(scaled - float(number)) <= unit / 2


# folded against reference


def quantizer_table(
    shape=(48, 32, 16, 32), codebook_size=10_000, hidden_dim=128, rounds=5, device="cpu", progress: Progress = None
) -> Table:
    """SVQ's two forms, forward and backward, on a latent of this ``(N, C', H, W)``, in one process and in turn."""
    torch.manual_seed(0)
    folded = build_quantizer("svq", shape[1], codebook_size=codebook_size, hidden_dim=hidden_dim).to(device)
    reference = build_quantizer("svq", shape[1], codebook_size=codebook_size, hidden_dim=hidden_dim, form="reference")
    reference.load_state_dict(folded.state_dict())
    forms = {"folded": folded, "reference": reference.to(device)}
    latent = torch.randn(shape, device=device, requires_grad=True)
    gradient = torch.randn(shape, device=device)
    functions = {name: _forward_backward(quantizer, latent, gradient) for name, quantizer in forms.items()}

    seconds = time_in_turn(functions, rounds, device, progress=progress)
    gradients = {}
    for name, function in functions.items():  # one more call: what both forms give to every parameter and the input
        gradients[name] = {
            "output": function().detach(),
            "latent": latent.grad,
            **{key: p.grad for key, p in forms[name].named_parameters()},
        }
    apart = max(_relative_difference(gradients["folded"][key], value) for key, value in gradients["reference"].items())
    del gradients
    for quantizer in forms.values():
        quantizer.zero_grad()
    latent.grad = None
    memory = {name: peak_memory(function, device) for name, function in functions.items()}
    ratio = paired_ratio(seconds["reference"], seconds["folded"])

    rows = [
        {
            "form": name,
            "seconds": statistics.median(seconds[name]),
            "memory": memory[name],
            "time_ratio": statistics.median(seconds["reference"]) / statistics.median(seconds[name]),
            "memory_ratio": memory["reference"] / memory[name],
            "all_seconds": seconds[name],
        }
        for name in ("reference", "folded")
    ]
    columns = {
        "form": "Form",
        "seconds": ("Forward + backward", milliseconds),
        "time_ratio": ("Faster", times),
        "memory": ("Peak memory", mebibytes),
        "memory_ratio": ("Less memory", times),
    }
    n, c, h, w = shape
    return Table(
        columns,
        rows,
        f"SVQ, {codebook_size:,} codes, width {hidden_dim}, latent {n} x {c} x {h} x {w}",
        [
            f"Medians of {rounds} rounds in turn; reference / folded, paired: {ratio} times (95 % interval).",
            "Peak memory: allocated by one forward and backward at its worst moment, above the parameters and the input.",
            f"Largest relative difference between the forms over the output and every gradient: {apart:.1e}.",
        ],
    )


def _forward_backward(quantizer: nn.Module, latent: Tensor, gradient: Tensor) -> Callable[[], Tensor]:
    """A step of the quantizer alone: a call that leaves the gradients of ``<quantized, gradient> + aux_loss``."""

    def call():
        quantizer.zero_grad()
        latent.grad = None
        output = quantizer(latent)
        ((output.quantized * gradient).sum() + output.aux_loss).backward()
        return output.quantized

    return call


def _relative_difference(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny)).item()


# the whole model


class TrainingStep:
    """A whole step of training: forward, loss, backward, Adam; and a forecast of one input without gradients.

    With ``return_usage`` the step takes the codebook's usage too, as training does for its log.
    """

    def __init__(
        self, model: SimVP_SVQ_Model, in_shape: Sequence[int], batch_size: int, device="cpu", return_usage=False
    ):
        self.options = {"return_usage": True} if return_usage else {}
        if return_usage:
            model.quantizer.usage_tokens = USAGE_TOKENS
        generator = torch.Generator().manual_seed(1)
        self.model = model.to(device)
        self.x, self.y = (torch.randn(batch_size, *in_shape, generator=generator).to(device) for _ in range(2))
        self.optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
        self.loss = nn.L1Loss()

    def __call__(self):
        self.model.train()
        self.optimizer.zero_grad()
        prediction, output = self.model(self.x, return_quantizer_output=True, **self.options)
        loss = self.loss(prediction, self.y)
        (loss if output is None else loss + output.aux_loss).backward()
        self.optimizer.step()

    @torch.inference_mode()
    def forecast(self):
        self.model.eval()
        self.model(self.x[:1])


def step_table(
    backbone=None,
    batch_size=4,
    codebook_size=10_000,
    hidden_dim=128,
    rounds=11,
    device="cpu",
    progress: Progress = None,
) -> Table:
    """A whole training step of SimVP with SVQ, folded, against the same SimVP without a quantizer."""
    backbone = {**WEATHER_S, **(backbone or {})}
    torch.manual_seed(0)
    svq = {"quantizer": "svq", "quantizer_kwargs": {"codebook_size": codebook_size, "hidden_dim": hidden_dim}}
    steps = {
        name: TrainingStep(SimVP_SVQ_Model(**backbone, **choice), backbone["in_shape"], batch_size, device, usage)
        for name, choice, usage in (
            ("SimVP", {"quant_position": "none"}, False),
            ("SimVP+SVQ, folded", svq, False),
            ("the same, taking usage", svq, True),
        )
    }
    seconds = time_in_turn(steps, rounds, device, progress=progress)
    without, plain, with_usage = seconds.values()
    rows = []
    for name, values in seconds.items():
        ratio = paired_ratio(values, without)
        rows.append(
            {
                "model": name,
                "seconds": statistics.median(values),
                "ratio": ratio.median,
                "low": ratio.low,
                "high": ratio.high,
                "all_seconds": values,
            }
        )
    percent = [100 / USAGE_INTERVAL * (value - 1) for value in paired_ratio(with_usage, plain)[:3]]
    columns = {
        "model": "Model",
        "seconds": ("Step", milliseconds),
        "ratio": ("Ratio", ".3f"),
        "low": ("from", ".3f"),
        "high": ("to", ".3f"),
    }
    title = f"Training step: SimVP({backbone['model_type']}) on {_size(backbone)}, batch {batch_size}"
    return Table(
        columns,
        rows,
        title,
        [
            f"Forward, loss, backward and Adam; {rounds} rounds in turn.",
            "Ratio: median of the paired ratios to SimVP without a quantizer, with a 95 % interval.",
            f"SVQ: {codebook_size:,} codes, width {hidden_dim}.",
            f"Usage: perplexity and kurtosis of {USAGE_TOKENS:,} tokens. Logged every {USAGE_INTERVAL} steps, the default, "
            "it costs {:.2f} % of a step ({:.2f} to {:.2f}).".format(*percent),
        ],
    )


def _size(backbone) -> str:
    return " x ".join(map(str, backbone["in_shape"]))


# Label, quantizer, settings, FLOPs in Table 13. SVQ's are those of the reference form.
_SAME_SIZE = (
    ("no quantizer", None, {}, None),
    ("VQ", "vq", {}, "7.207G"),
    ("Residual VQ", "residual_vq", {}, "8.616G"),
    ("Residual VQ (stochastic)", "residual_vq_stochastic", {}, "8.616G"),
    ("Grouped residual VQ", "grouped_residual_vq", {}, "8.616G"),
    ("Multi-headed VQ", "multi_headed_vq", {}, "8.717G"),
    ("SVQ (learnable), reference form", "svq", {"form": "reference"}, "8.037G"),
    ("SVQ (frozen)", "svq", {"learn_codebook": False}, None),
    ("SVQ (learnable)", "svq", {}, None),
    ("MLP (SVQ's fold, trained directly)", "mlp", {}, None),
)


def quantizers_table(
    backbone=None, batch_size=2, codebook_size=1024, rounds=7, device="cpu", progress: Progress = None
) -> Table:
    """Table 13: every quantizer with one codebook size on one backbone, each as a ratio to no quantizer in this run."""
    backbone = {**WEATHER_S, **(backbone or {})}
    torch.manual_seed(0)
    as_printed = backbone == WEATHER_S and codebook_size == 1024
    rows, steps = [], {}
    for label, name, settings, printed in _SAME_SIZE:
        if progress:
            progress(f"counting, {label}")
        choice = (
            {"quant_position": "none"}
            if name is None
            else {"quantizer": name, "quantizer_kwargs": {"codebook_size": codebook_size, **settings}}
        )
        model = SimVP_SVQ_Model(**backbone, **choice)
        cost = model_cost(model, backbone["in_shape"])
        steps[label] = TrainingStep(model, backbone["in_shape"], batch_size, device)
        rows.append(
            {
                "quantizer": label,
                "params": cost.params,
                "flops": cost.flops,
                **({"flops_printed": printed} if as_printed else {}),
            }
        )
    training = time_in_turn(steps, rounds, device, progress=progress)
    inference = time_in_turn({k: s.forecast for k, s in steps.items()}, 2 * rounds, device, progress=progress)

    baseline = rows[0]["quantizer"]
    for row in rows:
        label = row["quantizer"]
        if progress:
            progress(f"memory, {label}")
        steps[label].optimizer.zero_grad()
        step, forecast = (paired_ratio(v[label], v[baseline]) for v in (training, inference))
        row |= {
            "fps": 1 / statistics.median(inference[label]),
            "fps_ratio": 1 / forecast.median,
            "step_seconds": statistics.median(training[label]),
            "step_ratio": step.median,
            "step_low": step.low,
            "step_high": step.high,
            "step_text": str(step),
            "memory": peak_memory(steps[label], device),
        }
    for row in rows:
        row |= {f"{key}_ratio": row[key] / rows[0][key] for key in ("params", "flops", "memory")}
    columns = {
        "quantizer": "Quantizer",
        "params": ("Parameters", mega),
        "params_ratio": ("ratio", times),
        "flops": ("FLOPs", giga),
        "flops_printed": "Table 13",
        "flops_ratio": ("ratio", times),
        "fps": ("Forecasts/s", ".2f"),
        "fps_ratio": ("ratio", times),
        "step_seconds": ("Training step", milliseconds),
        "step_text": "ratio, 95 % interval",
        "memory": ("Peak memory", mebibytes),
        "memory_ratio": ("ratio", times),
    }
    if not as_printed:
        del columns["flops_printed"]
    return Table(
        columns,
        rows,
        f"Quantizers with {codebook_size:,} codes on SimVP({backbone['model_type']}), {_size(backbone)} (Table 13)",
        [
            "Ratios are to no quantizer in this run; those of times are medians of paired ratios.",
            f"Training step and its peak memory: batch {batch_size}, {rounds} rounds in turn. The rest: batch 1.",
            "SVQ is folded where it does not say reference form, which is what Table 13 counts in both rows of SVQ.",
            "Codebooks that are moving averages are not parameters.",
        ],
    )


# structural similarity

_FRAMES = (
    ("WeatherBench-S", (1, 32, 64)),
    ("TaxiBJ", (2, 32, 32)),
    ("KTH", (1, 128, 128)),
    ("KittiCaltech", (3, 128, 160)),
    ("Human3.6M", (3, 256, 256)),
)


def ssim_table(batch_size=64, rounds=7, device="cpu", progress: Progress = None) -> Table:
    """SSIM of a batch of frames against scikit-image's, frame by frame in a loop, as OpenSTL computes it."""
    from skimage.metrics import structural_similarity

    generator = torch.Generator().manual_seed(0)
    rows = []
    for label, shape in _FRAMES:
        pred, true = torch.rand(2, batch_size, *shape, generator=generator)
        pairs = [(p.movedim(0, -1).numpy(), t.movedim(0, -1).numpy()) for p, t in zip(pred, true)]
        on_device = pred.to(device), true.to(device)
        answers = {}

        def loop():
            answers["loop"] = [structural_similarity(p, t, channel_axis=-1, data_range=2.0) for p, t in pairs]

        def batch():
            answers["batch"] = ssim(*on_device)

        seconds = time_in_turn(
            {"loop": loop, "batch": batch},
            rounds,
            device,
            progress=progress and (lambda what: progress(f"{label}, {what}")),
        )
        ratio = paired_ratio(seconds["loop"], seconds["batch"])
        rows.append(
            {
                "frames": label,
                "size": " x ".join(map(str, shape)),
                **{f"{key}_seconds": statistics.median(values) / batch_size for key, values in seconds.items()},
                "ratio": ratio.median,
                "ratio_text": str(ratio),
                "difference": (torch.tensor(answers["loop"]) - answers["batch"].cpu()).abs().max().item(),
            }
        )
    columns = {
        "frames": "Frames",
        "size": "Size",
        "loop_seconds": ("scikit-image, a frame", microseconds),
        "batch_seconds": ("Batch, a frame", microseconds),
        "ratio_text": "Faster",
        "difference": ("Largest difference", ".1e"),
    }
    return Table(
        columns,
        rows,
        f"SSIM of {batch_size} frames",
        [
            f"float32, {rounds} rounds in turn; medians of paired ratios with a 95 % interval.",
            "scikit-image runs on one CPU thread.",
        ],
    )


# Figure 2

CODEBOOK_FORMS = {
    "svq_raw": ("svq_raw", {}),
    "svq reference": ("svq", {"form": "reference"}),
    "svq folded": ("svq", {}),
}


def codebook_table(
    sizes=tuple(2**k for k in range(6, 15)),
    shape=(12, 32, 16, 32),
    rounds=3,
    time_limit=60.0,
    memory_limit=None,
    device="cpu",
    progress: Progress = None,
) -> Table:
    """Figure 2: FLOPs and time (forward and backward) of the quantizer alone against the size of its codebook.

    Each method runs in a process of its own, from the smallest codebook up. Running out of memory or of time is a
    result: it is noted, and the larger codebooks of that method are not tried.

    Args:
        shape: ``(N, C', H, W)`` of the latent; by default one input of WeatherBench-S.
        time_limit: seconds for one size.
        memory_limit: bytes; by default 80 % of what is free.
    """
    if memory_limit is None:
        free = available_memory(device)
        memory_limit = None if free is None else int(0.8 * free)
    rows = [{"codes": size} for size in sorted(sizes)]
    for label, (name, settings) in CODEBOOK_FORMS.items():
        key = label.replace(" ", "_")
        failed = ""
        with _Worker(_measure_codebook, (name, settings, shape, rounds, str(device), memory_limit)) as worker:
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
    limit = "" if memory_limit is None else f", {memory_limit / 2**30:.1f} GiB"
    return Table(
        columns,
        rows,
        f"Cost against the size of the codebook, latent {n} x {c} x {h} x {w} (Figure 2)",
        [
            f"FLOPs of the forward pass; time and peak memory of forward and backward, median of {rounds} runs.",
            f"Limits: {time_limit:g} s for one size{limit}. After a method's first failure larger sizes are not tried.",
        ],
    )


def _quantizer_flops(name, settings, shape, codebook_size) -> int:
    with torch.device("meta"):  # shapes are enough, so no size is too large to count
        quantizer = build_quantizer(name, shape[1], codebook_size=codebook_size, **settings)
        return model_cost(_Quantized(quantizer), torch.empty(shape)).flops


class _Worker:
    """A process that answers questions one by one, and whose death or silence is an answer too."""

    def __init__(self, function, arguments):
        # A fork would inherit the thread pools of this process without their threads.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.connection.recv()  # ready: its imports are not on the clock

    def ask(self, question, time_limit):
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
            call = _forward_backward(quantizer, latent, torch.randn(shape, device=device))
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
