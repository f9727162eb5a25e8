"""Runs that are stopped and go on, that use several processes, less memory or a compiler: the same numbers."""

import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from comparison import assert_close
from pytorch_lightning.callbacks import Callback
from test_builtin_models import normal, small
from test_performance_acceleration import gradients
from test_train_cli import data_root, fails, run, weights, words  # noqa: F401
from torch import nn

from openstl_svq.acceleration import checkpoint_activations, fuse_optimizer
from openstl_svq.training import acceleration, experiment
from openstl_svq.training import checkpoint as checkpoints
from openstl_svq.training.devices import SharedBatchNorm2d, share_batch_norms, split_batch

ROOT = Path(__file__).parents[1]


class AtBatch(Callback):
    """Sends this process a signal at a batch of an epoch."""

    def __init__(self, epoch, batch, number):
        self.epoch, self.batch, self.number = epoch, batch, number

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            os.kill(os.getpid(), self.number)


@pytest.fixture
def also(monkeypatch):
    """Adds a callback to the runs that follow."""

    def add(callback):
        of_run = experiment.Experiment._callbacks
        monkeypatch.setattr(experiment.Experiment, "_callbacks", lambda self: [*of_run(self), callback])

    return add


def train_loss(folder):
    """Epoch means of the training loss, by epoch, over all starts of the run."""
    import csv

    losses = {}
    for file in sorted(folder.glob("csv/*/metrics.csv")):
        with open(file, newline="") as text:
            for row in csv.DictReader(text):
                if row.get("train_loss_epoch"):
                    losses[int(row["epoch"])] = float(row["train_loss_epoch"])
    return losses


def same_weights(first, second):
    first, second = weights(first), weights(second)
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


@pytest.mark.parametrize(
    "number, batch, extra",
    [
        (signal.SIGTERM, 1, []),
        (signal.SIGINT, 2, ["--noise_ratio", "0.2"]),
        (signal.SIGUSR1, 0, ["--total_batch_size", "8", "--num_workers", "2"]),
    ],
    ids=["SIGTERM", "SIGINT", "SIGUSR1"],
)
def test_a_signal_saves_and_the_run_goes_on_from_the_batch(number, batch, extra, words, run, also):  # noqa: F811
    runs = run("train", words(*extra, name="whole"))
    with pytest.MonkeyPatch.context():
        also(AtBatch(1, batch, number))
        handlers = signal.getsignal(number)
        with pytest.raises(SystemExit) as ended:
            run("train", words(*extra, name="stopped"))
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) == handlers
    state = checkpoints.load(runs / "stopped" / "checkpoints" / "last.ckpt")
    assert state["epoch"] == 1
    assert state["mid_epoch"]["samples"] == (8 if extra[:1] == ["--total_batch_size"] else 4 * (batch + 1))
    also(AtBatch(-1, -1, number))
    run("train", ["--resume", str(runs / "stopped")])
    same_weights(*(runs / name / "checkpoints" / "last.ckpt" for name in ("whole", "stopped")))
    assert train_loss(runs / "stopped") == pytest.approx(train_loss(runs / "whole"), rel=1e-6)


def test_saves_every_so_many_minutes(words, run, also, monkeypatch):  # noqa: F811
    saved = []
    monkeypatch.setattr(
        checkpoints.SafeCheckpointIO,
        "save_checkpoint",
        lambda self, checkpoint, path, storage_options=None: (
            saved.append((str(path), "mid_epoch" in checkpoint)) or checkpoints.save(checkpoint, path)
        ),
    )
    run("train", words("--save_every", "1e-9", epochs=1))
    middle = [path for path, mid_epoch in saved if mid_epoch]
    assert len(middle) == 3  # 17 windows in batches of 4, and the last of the four is the epoch's end
    assert all(path.endswith("last.ckpt") for path in middle)


def test_another_total_batch_is_refused(words, run, also):  # noqa: F811
    also(AtBatch(0, 0, signal.SIGTERM))
    with pytest.raises(SystemExit):
        run("train", words())
    with pytest.raises(SystemExit, match="after 4 samples, which are no whole number of steps of 8"):
        run("train", words("--total_batch_size", "8", "--resume"))


@pytest.mark.parametrize(
    "total, processes, largest, expected",
    [(16, 1, 16, (16, 1)), (16, 4, 16, (4, 1)), (16, 1, 4, (4, 4)), (16, 2, 3, (2, 4)), (10, 2, 4, (1, 5))],
)
def test_a_total_batch_is_split(total, processes, largest, expected):
    assert split_batch(total, processes, largest) == expected


@pytest.mark.parametrize("total, processes, nearest", [(16, 3, "15 or 18"), (2, 4, "4")])
def test_a_total_batch_that_cannot_be_split(total, processes, nearest):
    with pytest.raises(ValueError, match=f"cannot be split among {processes} processes .*--total_batch_size {nearest}"):
        split_batch(total, processes, 16)


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--total_batch_size", "18"], "total_batch_size is 18, but there are 17 training samples"),
        (["--gpus", *map(str, range(18))], "18 processes for 17 training samples"),
        (["--gpus", "0", "1", "2", "--total_batch_size", "4"], "a total batch of 4 cannot be split among 3"),
    ],
)
def test_more_than_there_is(extra, message, words, run):  # noqa: F811
    with pytest.raises(SystemExit, match=message):
        run("train", words(*extra))


def test_no_room_for_a_batch(words, run, monkeypatch):  # noqa: F811
    """As a device with room for 2 samples, or 3 in a test, would."""

    network = experiment.get_method("simvp_svq").model_cls
    original = network.forward

    def forward(self, x, *rest, **more):
        if len(x) > (2 if torch.is_grad_enabled() else 3):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, x, *rest, **more)

    monkeypatch.setattr(network, "forward", forward)
    message = fails(run, words())
    assert re.search(r"out of memory on cpu .*: a batch of 4 samples in a process does not fit; the largest", message)
    assert "the largest that does is 2. Take --batch_size 2 --total_batch_size 4 (" in message
    assert message.endswith("or --checkpoint_activations, which needs a fraction of the memory for a third more time.")
    message = fails(run, words("--batch_size", "2", name="validates"))
    assert message.endswith(
        "a batch of 5 samples in a process does not fit; the largest that does is 3. Take --val_batch_size 3."
    )


def test_a_gpu_without_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    for name, value in (
        ("is_available", True),
        ("device_count", 1),
        ("get_device_capability", (7, 5)),
        ("get_device_name", "T4"),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    args = Namespace(accelerator="auto", gpus=[0], precision="bf16-mixed")
    with pytest.raises(
        ValueError, match=r"bf16-mixed: GPU 0 \(T4\) has no bfloat16 arithmetic. Use --precision 16-mixed"
    ):
        experiment._devices(args)
    args.precision = "16-mixed"
    assert experiment._devices(args) == ("gpu", [0])


def test_accumulated_batches_give_the_gradient_of_the_whole(words, run, monkeypatch):  # noqa: F811
    """MLP-Mixer has no batch norm; without stochastic depth nothing else tells 4 x 2 from 1 x 8."""
    monkeypatch.setattr("timm.layers.DropPath.forward", lambda self, x: x)
    extra = ["model_type=mlp", "--total_batch_size", "8", "--sched", "onecycle"]
    for name, size in (("one", "8"), ("four", "2")):
        runs = run("train", words(*extra, "--batch_size", size, name=name))
    one, four = (weights(runs / name / "checkpoints" / "last.ckpt") for name in ("one", "four"))
    for key, value in one.items():
        assert_close(four[key], value, rtol=1e-4, atol=1e-6, what=key)


def start(words, *launcher):  # noqa: F811
    environment = {**os.environ, "OPENSTL_SVQ_HOST": "builtin", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(ROOT / "tools" / "train.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)


@pytest.mark.parametrize("processes, launcher", [(2, []), (4, ["-m", "torch.distributed.run", "--nproc-per-node=4"])])
def test_several_processes_are_as_one(processes, launcher, words, run, tmp_path, monkeypatch):  # noqa: F811
    """ConvMixer: batch norm, and no stochastic depth, whose draws differ between processes."""
    extra = ["model_type=convmixer", "--total_batch_size", "8", "--batch_size", "8"]
    runs = run("train", words(*extra, name="one"))
    done = start(words(*extra, "--gpus", *map(str, range(processes)), name="several"), *launcher)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder: ") == 1
    assert sorted(p.name for p in (runs / "several" / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert len(list(runs.glob("several/csv/*/metrics.csv"))) == 1
    one, several = (train_loss(runs / name) for name in ("one", "several"))
    assert several == pytest.approx(one, rel=1e-5)
    one, several = (weights(runs / name / "checkpoints" / "last.ckpt") for name in ("one", "several"))
    differences = {key: (one[key] - several[key]).abs().max().item() for key in one if "running_var" in key}
    assert differences and max(differences.values()) < 1e-5


def test_shared_batch_norm_alone_is_torchs():
    plain = nn.BatchNorm2d(3)
    shared = share_batch_norms(nn.Sequential(nn.BatchNorm2d(3)))
    assert type(shared[0]) is SharedBatchNorm2d
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        x = 5 + normal(4, 3, 5, 6)
        expected, actual = gradients(plain, x), gradients(shared, x)
        for key, value in expected.items():
            assert_close(actual[key if key in ("output", "input") else f"0.{key}"], value, rtol=1e-5, atol=1e-5)
        for key, value in plain.state_dict().items():
            assert_close(shared.state_dict()[f"0.{key}"], value, rtol=1e-5, atol=1e-6)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["gsta", "incepu", "swin"])
def test_checkpointed_activations(name):
    """Gradients and running statistics are the same, after a forward pass that keeps less."""
    saved = {}

    def kept(model, x):
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(x)
        return total

    models = {}
    for key in ("plain", "checkpointed"):
        model = models[key] = small(name, N_T=4)
        for module in model.modules():
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0
        if key == "checkpointed":
            before = list(model.state_dict())
            assert checkpoint_activations(model) > 4
            assert list(model.state_dict()) == before
        x = normal(2, 2, 1, 8, 16)
        saved[key] = gradients(model, x)
        saved[f"{key} statistics"] = {k: v.clone() for k, v in model.state_dict().items()}
    for suffix in ("", " statistics"):
        for key, value in saved[f"plain{suffix}"].items():
            assert_close(saved[f"checkpointed{suffix}"][key], value, rtol=1e-5, atol=1e-6, what=key)
    assert kept(models["checkpointed"], x) < 0.5 * kept(models["plain"], x)


def test_fused_optimizers_make_the_same_steps():
    for cls, options in ((torch.optim.Adam, {}), (torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9})):
        results = []
        for fused in (False, True):
            parameter = nn.Parameter(torch.linspace(-1, 1, 10))
            optimizer = cls([parameter], lr=0.01, **options)
            if fused:
                fuse_optimizer(optimizer)
                assert optimizer.param_groups[0]["fused"]
            for _ in range(5):
                optimizer.zero_grad()
                (parameter**4).sum().backward()
                optimizer.step()
            results.append(parameter.detach())
        assert_close(results[1], results[0], rtol=1e-6, atol=1e-7)


def test_plain_runs_and_fast_ones_end_with_the_same_losses(words, run):  # noqa: F811
    for name, extra in (("plain", ["--plain"]), ("fast", []), ("checkpointed", ["--checkpoint_activations"])):
        runs = run("train", words(*extra, name=name))
    plain = train_loss(runs / "plain")
    assert set(plain) == {0, 1}
    for name in ("fast", "checkpointed"):
        assert train_loss(runs / name) == pytest.approx(plain, abs=1e-4)


def test_without_a_compiler_the_run_goes_on(monkeypatch):
    network = small("gsta")
    monkeypatch.setattr(torch, "compile", lambda f: (_ for _ in ()).throw(RuntimeError("no C++ compiler found\nmore")))
    with pytest.warns(UserWarning, match=r"--compile: torch.compile does not work here \(RuntimeError: no C\+\+ comp"):
        assert not acceleration.compile_network(network, "cpu")
    assert network._compiled_call_impl is None
