"""Parameters and FLOPs of SimVP and SimVP+SVQ on every dataset (Table 12)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ..config_file import load_config, packaged_configs
from ..host import dataset_parameters
from ..host.builtin.methods import method_maps
from ..models import SimVP_SVQ_Model
from ..models.cost import ModelCost, dry_cost, model_cost
from ..naming import accepted, choose
from . import Progress, register_benchmark
from .tables import Table, giga, mega, times

CONFIGS = packaged_configs()


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
TABLE_12 = {backbone.dataname: backbone for backbone in BACKBONES if backbone.printed}
# The recurrent rows of Table 12 (TAU, PredNet and DMVFN: see methods_cost): the method's configuration -> parameters
# and FLOPs that are printed for each dataset.
_OTHER_NOTES = {
    "ConvLSTM": "ConvLSTM: the parameters printed for WeatherBench-S are TaxiBJ's, of two channels.",
    "E3DLSTM": "E3D-LSTM: OpenSTL convolves a memory that is always zero in every step, here it is done once. With it the count "
    "is 542.4G, 168.5G and 98.19G for Human3.6M, WeatherBench-S and TaxiBJ, as printed; 511.1G for KTH and 1039.8G for "
    "KittiCaltech, where OpenSTL's own model counts the same and 217.0G and 1004G are printed.",
    "PhyDNet": "PhyDNet: what is printed for Human3.6M is of another size than OpenSTL's configuration, which counts as here.",
    "PredRNNv2": "PredRNN.V2: the parameters for WeatherBench-S are 23.5848M, printed as 23.59M.",
}
_DATASETS = ("human", "kth", "kitticaltech", "weather_t2m_5_625", "taxibj")
OTHERS = {
    "ConvLSTM": ("15.5M 347.0G", "14.9M 1368.0G", "15.0M 595.0G", "14.98M 136G", "14.98M 20.74G"),
    "E3DLSTM": ("60.9M 542.0G", "53.5M 217.0G", "54.9M 1004G", "51.09M 169G", "50.99M 98.19G"),
    "PhyDNet": ("4.2M 19.1G", "3.1M 93.6G", "3.1M 40.4G", "3.09M 36.8G", "3.09M 5.60G"),
    "MAU": ("20.2M 105.0G", "20.1M 399.0G", "24.3M 172.0G", "5.46M 39.6G", "4.41M 6.02G"),
    "MIM": ("47.6M 1051.0G", "39.8M 1099.0G", "49.2M 1858G", "37.75M 109G", "37.86M 64.10G"),
    "PredRNN": ("24.6M 704.0G", "23.6M 2800.0G", "23.7M 1216G", "23.57M 278G", "23.66M 42.40G"),
    "PredRNNpp": ("39.3M 1033.0G", "38.3M 4162.0G", "38.5M 1803G", "38.31M 413G", "38.40M 62.95G"),
    "PredRNNv2": ("24.6M 708.0G", "23.6M 2815.0G", "23.8M 1223G", "23.59M 279G", "23.67M 42.63G"),
}
_FIGURES = ("SimVP's parameters", "SimVP's FLOPs", "SVQ's parameters", "SVQ's FLOPs")
_COST_NOTES = (
    "Multiply-adds of one forward pass at batch 1, counted by fvcore. Printed: Table 12. A figure agrees if it is the "
    "printed one when rounded or cut to the printed digits (.0 of a whole number aside: Table 12 has 178.0G and 110.0G "
    "beside 156G).",
    "The recurrent methods are counted in a training pass, as OpenSTL counts them: with the convolutions of the empty state "
    "before the first step, which runs leave out.",
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
    for name, figures in OTHERS.items():
        for other, printed in zip(_DATASETS, figures):
            if printed and (not dataname or other in dataname):
                if progress:
                    progress(f"{TABLE_12[other].label}, {name}")
                rows.append(_other_row(name, TABLE_12[other], printed, configs))
    columns = {
        "dataset": "Dataset",
        "translator": "Translator or method",
        "simvp_params": ("No quantizer", mega),
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
    return Table(columns, rows, "Parameters and FLOPs (Table 12)", [*_COST_NOTES, *notes, *_OTHER_NOTES.values()])


def recurrent_cost(config: dict, backbone: Backbone) -> ModelCost:
    """Of a recurrent method as OpenSTL counts it, in a training pass."""
    model_class = method_maps[config["method"]].model_class
    future = dataset_parameters[backbone.dataname]["aft_seq_length"]
    sizes = {"in_shape": backbone.in_shape, "pre_seq_length": backbone.in_shape[0], "aft_seq_length": future}
    with torch.device("meta"):
        model = model_class(**accepted(model_class, {**config, **sizes}))
    model.convolves_empty_state = True
    x, y = (torch.empty(1, steps, *backbone.in_shape[1:]) for steps in (backbone.in_shape[0], future))
    return dry_cost(model, (x, y))


def _other_row(name: str, backbone: Backbone, printed: str, configs: Path) -> dict:
    cost = recurrent_cost(load_config(configs / backbone.folder / f"{name}.py"), backbone)
    figures = zip(("parameters", "FLOPs"), (cost.params, cost.flops), printed.split())
    apart = [what for what, value, text in figures if not agrees(value, text)]
    return {
        "dataset": backbone.label,
        "translator": name,
        "simvp_params": cost.params,
        "simvp_flops": cost.flops,
        "simvp_printed": printed.replace(" ", " / "),
        "agrees": f"all but {' and '.join(apart)}" if apart else "yes",
    }


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
