"""The recurrent methods in small settings, the same for both hosts; run as a program, it measures the real OpenSTL.

    python tests/measure_recurrent.py

writes tests/parity/recurrent.json and recurrent.npz (tests/parity/README.md describes them).
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
from filling import digest, fill, normal

PARITY = Path(__file__).parent / "parity"
FRAMES = {"in_shape": [4, 2, 8, 16], "pre_seq_length": 4, "aft_seq_length": 3, "total_length": 7}
LAYERS = {"num_hidden": "8,8,8", "filter_size": 5, "stride": 1, "patch_size": 2, "layer_norm": 0}
# Schedules that go through all their parts within ten steps.
SCHEDULED = {"scheduled_sampling": 1, "sampling_stop_iter": 8, "sampling_changing_rate": 0.1}
REVERSE = {"reverse_scheduled_sampling": 1, "r_sampling_step_1": 3, "r_sampling_step_2": 8, "r_exp_alpha": 3}
RECURRENT = LAYERS | SCHEDULED | REVERSE | {"reverse_scheduled_sampling": 0}
MAU = RECURRENT | {"patch_size": 1, "sr_size": 2, "tau": 3, "cell_mode": "normal", "model_mode": "normal"}
V2 = RECURRENT | REVERSE | {"decouple_beta": 0.1}
STEPS = 10

VARIANTS = {
    "convlstm": ("convlstm", RECURRENT | {"num_hidden": "8,6"}),
    "convlstm_layer_norm": ("convlstm", RECURRENT | {"layer_norm": 1, "filter_size": 3}),
    "predrnn": ("predrnn", RECURRENT),
    "predrnn_layer_norm": ("predrnn", RECURRENT | REVERSE | {"layer_norm": 1}),
    "predrnnpp": ("predrnnpp", RECURRENT),
    "predrnnv2": ("predrnnv2", V2),
    "predrnnv2_layer_norm": ("predrnnv2", V2 | {"layer_norm": 1, "patch_size": 4, "decouple_beta": 0.01}),
    "mim": ("mim", RECURRENT),
    "mim_layer_norm": ("mim", RECURRENT | REVERSE | {"layer_norm": 1}),
    "e3dlstm": ("e3dlstm", RECURRENT),
    "e3dlstm_layer_norm": ("e3dlstm", RECURRENT | REVERSE | {"layer_norm": 1}),
    "mau": ("mau", MAU),
    "mau_recall": ("mau", MAU | {"sr_size": 4, "cell_mode": "residual", "model_mode": "recall"}),
    "phydnet": ("phydnet", {"patch_size": 2}),
    "phydnet_4": ("phydnet", {"patch_size": 4}),
}


def build(method_maps, variant):
    """The method of a variant, filled, at step 0 of a run without a trainer; 40 epochs a step, for PhyDNet's schedule."""
    name, settings = VARIANTS[variant]

    class Counted(method_maps[name]):
        global_step = 0
        current_epoch = property(lambda self: 40 * self.global_step)

        def log(self, *args, **kwargs):
            pass

    config = {"dataname": "taxibj", "metrics": ["mse"], "device": "cpu", "dist": False, **FRAMES, **settings}
    method = Counted(**config)
    fill(method.model)
    return method


def forecast(method):
    steps, *frame = FRAMES["in_shape"]
    x, y = normal(2, steps, *frame), torch.zeros(2, FRAMES["aft_seq_length"], *frame)
    with torch.no_grad():
        return method.eval()(x, y)


def train(method):
    """Losses of ten steps of Adam, on batches of 2."""
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    steps, *frame = FRAMES["in_shape"]
    batches = normal(STEPS, 2, FRAMES["total_length"], *frame, seed=1)
    optimizer = torch.optim.Adam(method.train().parameters(), lr=1e-3)
    losses = []
    for i, batch in enumerate(batches):
        type(method).global_step = i
        loss = method.training_step((batch[:, :steps], batch[:, steps:]), i)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def measure(method):
    """What the parity files hold of a method: the entry of the JSON file, and the forecast."""
    state = {
        name: [list(t.shape), str(t.dtype).removeprefix("torch.")] for name, t in method.model.state_dict().items()
    }
    entry = {
        "params": sum(p.numel() for p in method.model.parameters()),
        "state_dict": state,
        "fill_sha256": digest(method.model),
        "norms": {n: m.eps for n, m in method.model.named_modules() if isinstance(getattr(m, "eps", None), float)},
    }
    frames = forecast(method)
    return {**entry, "losses": train(method)}, frames.numpy()


if __name__ == "__main__":
    from openstl_svq.host import openstl

    torch.set_num_threads(1)
    real = openstl.load().method_maps
    entries, arrays = {}, {}
    for variant, (method, settings) in VARIANTS.items():
        entry, arrays[variant] = measure(build(real, variant))
        entries[variant] = {"method": method, "settings": settings, **entry}
        print(variant, entry["losses"])
    np.savez_compressed(PARITY / "recurrent.npz", **arrays)
    (PARITY / "recurrent.json").write_text(
        json.dumps({"torch": torch.__version__, "variants": entries}, indent=1) + "\n"
    )
