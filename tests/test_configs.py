"""Every configuration file: known keys, a model that builds, a training step; and the settings of the paper."""

import functools
import json
from pathlib import Path

import pytest
import torch

from openstl_svq import config as configuration
from openstl_svq.config_file import load_config
from openstl_svq.methods import get_method
from openstl_svq.sweep import identity

ROOT = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(
    str(p)
    for p in (p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
    if not any(part.startswith("_") or part == "paper" for part in p.parts)
)
T2M = "weather/t2m_5_625"

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # there is no trainer here

# (T, C) of a folder's dataset.
FRAMES = {
    "weather_sample": (12, 1),
    "weather/t2m_5_625": (12, 1),
    "weather/r_5_625": (12, 1),
    "weather/tcc_5_625": (12, 1),
    "weather/uv10_5_625": (12, 2),
    "weather/mv_4_s6_5_625": (4, 12),
    "weather/hmv_4_s6_5_625": (4, 110),
    "study": (4, 1),
    "taxibj": (4, 2),
    "human": (4, 3),
    "kth": (10, 1),
    "mmnist": (10, 1),
    "kitticaltech": (10, 3),
}


# The key of a size -> a small one.
SMALL = {
    "hid_S": 8,
    "hid_T": 16,
    "N_T": 2,
    "num_hidden": "'8,8'",
    "num_features": "(8,8)",
    "scale": "(2,1)",
    "perceptual_weight": 0,
}


@functools.cache
def resolved(file, *options):
    """What ``tools/train.py -c file`` runs. The dataset only gives the frames, which are overridden here."""
    steps, channels = next(v for k, v in FRAMES.items() if file.startswith(k + "/"))
    return configuration.resolve(
        [
            "-d",
            "weather_t2m_5_625",
            "-c",
            str(ROOT / file),
            "--cfg_options",
            f"in_shape=[{steps},{channels},16,16]",
            f"pre_seq_length={steps}",
            f"aft_seq_length={steps}",
            *options,
        ]
    )


def test_there_are_configs_for_every_dataset():
    assert all(any(file.startswith(f"{folder}/") for file in FILES) for folder in FRAMES)


@pytest.mark.parametrize("file", FILES)
def test_trains_a_step(file):
    """At reduced size; also finds unknown keys, since resolving refuses them."""
    keys = get_method(resolved(file).method).keys
    options = [f"{key}={value}" for key, value in SMALL.items() if key in keys]
    if resolved(file).quantizer_kwargs.get("codebook_size", 0) > 64:
        options.append("quantizer_kwargs.codebook_size=64")
    args = resolved(file, *options)
    torch.manual_seed(0)
    method = get_method(args.method).cls(steps_per_epoch=1, test_mean=0.0, test_std=1.0, save_dir="", **vars(args))
    x, y = torch.randn(2, 2, *args.in_shape).unbind()
    loss = method.training_step((x, y), 0)
    loss.backward()
    assert torch.isfinite(loss)
    trained = [name for name, p in method.model.named_parameters() if p.requires_grad and p.grad is not None]
    first = next(name for name, _ in method.model.named_parameters()).partition(".")[0]
    assert any(name.startswith(f"{first}.") for name in trained), "the gradient must reach what the input enters"
    assert next(iter(method.parameters())).isfinite().all()


def test_no_two_are_the_same_run():
    """A setting that has no effect, such as a misspelt variant, would make one. Table 13 repeats rows of Table 4."""
    repeated = {
        f"{T2M}/quantizers_1024/SimVP_{q}_gSTA.py"
        for q in ("ResidualVQ", "ResidualVQStochastic", "GroupedResidualVQ", "MultiHeadedVQ")
    }
    seen = {}
    for file in FILES:
        if file in repeated or file.startswith(("weather/tcc", "weather/r_")):
            continue  # other data than t2m's, but the same in_shape here
        key = json.dumps(identity(vars(resolved(file))), sort_keys=True)
        assert key not in seen, f"{file} is {seen[key]}"
        seen[key] = file


def settings(file, *keys):
    config = vars(resolved(file))
    return tuple(config[k] for k in keys)


@pytest.mark.parametrize(
    "folder, translator, model_type, sizes, drop_path, sched",
    [
        ("weather/t2m_5_625", "gSTA", "gSTA", (32, 256, 8, 2), 0.1, "cosine"),
        ("weather/r_5_625", "Swin", "swin", (32, 256, 8, 2), 0.2, "cosine"),
        ("weather/uv10_5_625", "Swin", "swin", (32, 256, 8, 2), 0.2, "cosine"),
        ("weather/tcc_5_625", "gSTA", "gSTA", (32, 256, 8, 2), 0.1, "cosine"),
        ("weather/mv_4_s6_5_625", "MogaNet", "moga", (32, 256, 8, 2), 0.1, "cosine"),
        ("taxibj", "gSTA", "gSTA", (32, 256, 8, 2), 0.1, "cosine"),
        ("human", "gSTA", "gSTA", (64, 512, 6, 4), 0.1, "cosine"),
        ("kth", "IncepU", "IncepU", (64, 256, 6, 2), 0.1, "onecycle"),
        ("kitticaltech", "gSTA", "gSTA", (64, 256, 6, 2), 0.2, "onecycle"),
    ],
)
def test_table_10_and_section_5(folder, translator, model_type, sizes, drop_path, sched):
    codes = 6000 if folder in ("kth", "kitticaltech") else 10_000
    svq = {"codebook_size": codes, "hidden_dim": 128}
    plain, learnable, frozen = (
        f"{folder}/{name}.py"
        for name in (f"SimVP_{translator}", f"SimVP_SVQ_{translator}", f"SimVP_SVQ_{translator}_frozen")
    )
    for file in (plain, learnable, frozen):
        assert settings(
            file, "model_type", "drop_path", "sched", "batch_size", "patience", "spatio_kernel_enc", "spatio_kernel_dec"
        ) == (model_type, drop_path, sched, 16, 10, 3, 3)
        assert settings(file, "hid_S", "hid_T", "N_T", "N_S") == sizes
    assert settings(plain, "method", "loss") == ("simvp", "mse")
    for file, kwargs in ((learnable, svq), (frozen, svq | {"learn_codebook": False})):
        assert settings(file, "method", "quantizer", "quantizer_kwargs", "quant_position") == (
            "simvp_svq",
            "svq",
            kwargs,
            "before",
        )


@pytest.mark.parametrize(
    "name, lr",
    [
        ("IncepU", 1e-2),
        ("ConvMixer", 1e-2),
        ("ConvNeXt", 1e-2),
        ("gSTA", 5e-3),
        ("MogaNet", 5e-3),
        ("Uniformer", 5e-3),
        ("VAN", 5e-3),
        ("HorNet", 1e-3),
        ("Swin", 1e-3),
        ("MLPMixer", 1e-3),
        ("ViT", 1e-3),
        ("Poolformer", 5e-4),
    ],
)
def test_table_3(name, lr):
    for kind, method in (("SimVP", "simvp"), ("SimVP_SVQ", "simvp_svq")):
        assert settings(f"{T2M}/{kind}_{name}.py", "method", "lr", "epoch", "sched", "batch_size") == (
            method,
            lr,
            50,
            "cosine",
            16,
        )


def changed(file, base):
    """What ``file`` sets that ``base`` does not."""
    a, b = (identity(vars(resolved(f))) for f in (file, base))
    return {k: v for k, v in a.items() if v != b.get(k)}


@pytest.mark.parametrize(
    "file, base, expected",
    [
        ("noise/SimVP_gSTA_noise20.py", "SimVP_gSTA.py", {"noise_ratio": 0.2}),
        ("noise/SimVP_SVQ_gSTA_noise50.py", "SimVP_SVQ_gSTA.py", {"noise_ratio": 0.5}),
        ("loss/SimVP_gSTA_mae.py", "SimVP_gSTA.py", {"loss": "mae"}),
        ("loss/SimVP_SVQ_gSTA_mse.py", "SimVP_SVQ_gSTA.py", {"loss": "mse"}),
        (
            "structure/SimVP_SVQ_gSTA_one_layer.py",
            "SimVP_SVQ_gSTA.py",
            {"quantizer_kwargs": {"codebook_size": 10_000, "hidden_dim": None}},
        ),
        (
            "structure/SimVP_SVQ_gSTA_bucket.py",
            "SimVP_SVQ_gSTA.py",
            {"quantizer_kwargs": {"codebook_size": 1280, "hidden_dim": 1280}},
        ),
        (
            "freeze/SimVP_SVQ_gSTA_frozen_both.py",
            "SimVP_SVQ_gSTA.py",
            {
                "quantizer_kwargs": {
                    "codebook_size": 10_000,
                    "hidden_dim": 128,
                    "learn_codebook": False,
                    "learn_projection": False,
                }
            },
        ),
        ("position/SimVP_VQ_gSTA_after.py", "quantizers_1024/SimVP_VQ_gSTA.py", {"quant_position": "after"}),
        ("quantizers/SimVP_LFQ_gSTA.py", "quantizers/SimVP_VQ_gSTA.py", {"quantizer": "lfq"}),
    ],
)
def test_a_variant_changes_one_thing(file, base, expected):
    assert changed(f"{T2M}/{file}", f"{T2M}/{base}") == expected


def namespace_of(file):
    namespace = {}
    exec(file.read_text(), namespace)
    return namespace


@pytest.mark.parametrize("file", FILES)
def test_says_only_what_differs(file):
    own = namespace_of(ROOT / file)
    bases = own.get("_base_", [])
    inherited = {}
    for base in [bases] if isinstance(bases, str) else bases:
        inherited |= load_config((ROOT / file).parent / base)
    repeated = [k for k in own if k in inherited and own[k] == inherited[k]]
    assert not repeated


@pytest.mark.parametrize(
    "folder",
    [
        *(f"weather/{name}" for name in ("t2m_5_625", "r_5_625", "uv10_5_625", "tcc_5_625", "mv_4_s6_5_625")),
        *("taxibj", "human", "kth", "kitticaltech"),
    ],
)
def test_tau_stands_in_every_table(folder):
    assert settings(f"{folder}/TAU.py", "method", "model_type", "alpha", "loss", "batch_size", "drop_path") == (
        "tau",
        "tau",
        0.1,
        "mse",
        16,
        0.1,
    )


@pytest.mark.parametrize("folder", ["human", "kth", "kitticaltech", "taxibj"])
@pytest.mark.parametrize("name", ["PredNet", "DMVFN"])
def test_prednet_and_dmvfn_stand_in_tables_2_and_14(folder, name):
    assert settings(f"{folder}/{name}.py", "method", "batch_size", "patience") == (name.lower(), 16, 10)


@pytest.mark.parametrize(
    "folder, methods",
    [
        *(
            (f"weather/{v}_5_625", "ConvLSTM E3DLSTM PredRNN MIM MAU PredRNNpp PredRNNv2")
            for v in ("t2m", "r", "uv10", "tcc")
        ),
        ("weather/mv_4_s6_5_625", "ConvLSTM PredRNN MIM MAU PredRNNpp PredRNNv2"),
        *(
            (d, "ConvLSTM E3DLSTM PhyDNet MAU MIM PredRNN PredRNNpp PredRNNv2")
            for d in ("human", "kth", "kitticaltech", "taxibj")
        ),
    ],
)
def test_recurrent_rows_of_tables_1_2_and_14(folder, methods):
    for name in methods.split():
        assert settings(f"{folder}/{name}.py", "method", "batch_size", "patience") == (name.lower(), 16, 10)
