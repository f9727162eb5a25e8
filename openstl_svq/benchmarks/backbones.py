"""Parameters and FLOPs of SimVP and SimVP+SVQ on every dataset (Table 12)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..config_file import load_config
from ..models import SimVP_SVQ_Model
from ..naming import accepted, choose
from . import Progress, register_benchmark
from .cost import model_cost
from .tables import Table, giga, mega, times

CONFIGS = Path(__file__).parents[2] / "configs"


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


@register_benchmark("cost", "parameters and FLOPs: Table 12, and every other backbone")
def cost_table(dataname: Sequence[str] = (), configs: Path = CONFIGS, *, progress: Progress = None) -> Table:
    """Table 12 (SimVP and SimVP+SVQ), and the other datasets' backbones beside it.

    Args:
        dataname: datasets to count; all by default.
        configs: the folder ``configs`` of the project.
    """
    for name in dataname:
        choose("dataset of the cost table", name, dict.fromkeys(backbone.dataname for backbone in BACKBONES))
    keys = ("simvp_params", "simvp_flops", "svq_params", "reference_flops")
    rows = []
    for backbone in BACKBONES:
        if dataname and backbone.dataname not in dataname:
            continue
        costs = {}
        for kind, name in (("simvp", "SimVP"), ("reference", "SimVP_SVQ"), ("folded", "SimVP_SVQ")):
            if progress:
                progress(f"{backbone.label}, {backbone.translator}, {kind}")
            config = load_config(configs / backbone.folder / f"{name}_{backbone.translator}.py")
            costs[kind] = model_cost(model_of(config, backbone.in_shape, kind), backbone.in_shape)
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
    notes = [b.note for b in BACKBONES if b.note and (not dataname or b.dataname in dataname)]
    return Table(columns, rows, "Parameters and FLOPs (Table 12)", [*_COST_NOTES, *notes])


def model_of(config: dict, in_shape: Sequence[int], kind: str) -> SimVP_SVQ_Model:
    settings = accepted(SimVP_SVQ_Model, config)
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
