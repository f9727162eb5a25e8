"""SVQ in training: its rate in every optimizer and schedule of the host, its steps, and what is logged of them."""

import csv
import math

import pytest
import torch
from comparison import assert_close
from test_optim import options
from test_train_cli import data_root, fails, run, words  # noqa: F401  fixtures

from openstl_svq.host import get_optim_scheduler
from openstl_svq.host.builtin.core.optim_scheduler import OPTIMIZERS, SCHEDULERS
from openstl_svq.host.builtin.modules.translators import list_translators
from openstl_svq.methods import ForecastMethod
from openstl_svq.methods.rates import scale_rate
from openstl_svq.models import SimVP_SVQ_Model
from openstl_svq.models.dynamics import watch

SIZES = dict(in_shape=(3, 2, 16, 8), hid_S=8, hid_T=16, N_S=2, N_T=2)


def build(**settings):
    torch.manual_seed(0)
    return SimVP_SVQ_Model(**SIZES | {"quantizer_kwargs": {"codebook_size": 20}} | settings)


def rates(name, sched, factor, **changes):
    """Rates of the encoder and of the codebook in every step of a training."""
    model = build()
    optimizer, scheduler, by_epoch = get_optim_scheduler(options(opt=name, sched=sched, **changes), 6, model, 2)
    if factor is not None:
        scale_rate(optimizer, scheduler, model.quantizer.codebook_parameters(), factor)
    wanted = {id(next(model.enc.parameters())): "encoder", id(model.quantizer.codebook): "codebook"}
    found = {"encoder": [], "codebook": []}
    for step in range(12):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if id(parameter) in wanted:
                    found[wanted[id(parameter)]].append(group["lr"])
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        if not by_epoch:
            scheduler.step()
        elif step % 2:
            scheduler.step((step + 1) // 2)
    return found, optimizer, model


@pytest.mark.parametrize("sched", SCHEDULERS)
@pytest.mark.parametrize(
    "changes", [{}, {"warmup_epoch": 2}, {"weight_decay": 0.1, "filter_bias_and_bn": True}], ids=str
)
def test_the_rate_of_the_codebook_is_scaled_over_the_whole_schedule(sched, changes):
    plain, _, _ = rates("adam", sched, None, **changes)
    scaled, optimizer, model = rates("adam", sched, 0.25, **changes)
    assert plain["encoder"] == plain["codebook"] == scaled["encoder"]
    assert scaled["codebook"] == pytest.approx([0.25 * rate for rate in plain["codebook"]], rel=1e-12)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    for group in optimizer.param_groups:
        assert group["weight_decay"] == (0.1 if changes.get("weight_decay") and group["params"][0].ndim > 1 else 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "adahessian"] + ["lookahead_adam"])
def test_every_optimizer_has_the_groups(name):
    scaled, *_ = rates(name, "cosine", 0.25)
    assert scaled["codebook"] == pytest.approx([0.25 * rate for rate in scaled["encoder"]], rel=1e-12)


@pytest.mark.parametrize("model_type", list_translators())
@pytest.mark.parametrize("position", ["before", "after", "none"])
def test_every_translator_and_position_is_watched(model_type, position):
    model = build(model_type=model_type, quant_position=position)
    x = torch.randn(2, 3, 2, 16, 8, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    expected, output = model(x, return_quantizer_output=True)
    torch.set_rng_state(state)
    with watch(model) as values:
        assert_close(model(x), expected)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    latent, _ = model.enc(x.flatten(0, 1))
    if position != "after":
        assert_close(values["latent/std_before"], latent.std(), rtol=1e-4)
    if position != "none":
        assert_close(values["latent/std_after"], output.quantized.std(), rtol=1e-4)
    assert 0 < values["translator/block_share"] < 100
    assert ("latent/std_after" in values) == (position != "none")


def test_the_share_of_the_blocks_falls_as_the_latent_grows():
    """The branches of gSTA's blocks are normed and scaled by 1e-2: a large latent passes them by."""
    model = build(quant_position="none")
    shares = []
    for scale in (1.0, 100.0):
        with watch(model) as values:
            model.hid(scale * torch.randn(1, 3, 8, 8, 4, generator=torch.Generator().manual_seed(0)))
        shares.append(values["translator/block_share"])
    assert shares[1] < 0.05 * shares[0]


def logged(folder):
    """name -> [(step, value), ...]"""
    found: dict = {}
    for row in csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open()):
        for name, value in row.items():
            if value and "/" in name:
                found.setdefault(name, []).append((int(row["step"]), float(value)))
    return found


def test_a_run_logs_what_its_latent_does(words, run):  # noqa: F811
    found = logged(run("train", words("usage_interval=3", epochs=2)) / "run")
    for name in ("latent/std_before", "latent/std_after", "translator/block_share", "quantizer/fold_change"):
        assert [step for step, _ in found[name]] == [0, 3, 6], name
        assert all(0 < value < 100 for _, value in found[name])
    none = logged(run("train", words("usage_interval=3", "quant_position='none'", name="none")) / "none")
    assert none.keys() == {"latent/std_before", "translator/block_share"}
    mlp = logged(run("train", words("usage_interval=3", "quantizer='mlp'", name="mlp")) / "mlp")
    assert len(mlp["quantizer/fold_change"]) == 3


def test_the_rate_and_the_limit_act(words, run):  # noqa: F811
    def change(*extra, name):
        return [
            v
            for _, v in logged(run("train", words("usage_interval=1", *extra, name=name, epochs=1)) / name)[
                "quantizer/fold_change"
            ]
        ]

    published, slow, clipped = (
        change(name="published"),
        change("quantizer_lr='width'", "quantizer_kwargs.codebook_size=2000", name="slow"),
        change("fold_clip=1e-4", name="clipped"),
    )
    direct = change("quantizer='mlp'", "quantizer_kwargs={'codebook_size':2000}", name="direct")
    assert max(published) > 1e-3 and max(clipped) <= 1.001e-4 and min(clipped) > 1e-5
    assert slow[0] == pytest.approx(direct[0], rel=0.25)


@pytest.mark.parametrize("sched", ["cosine", "onecycle"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(words, run, monkeypatch, sched):  # noqa: F811
    extra = ("quantizer_lr='width'", "fold_clip=0.05", "quantizer_kwargs.residual=True", f"sched='{sched}'")
    runs = run("train", words(*extra, name="whole", epochs=3))

    def stop(self, original=ForecastMethod.on_train_epoch_start):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(ForecastMethod, "on_train_epoch_start", stop)
        fails(run, words(*extra, name="cut", epochs=3))
    run("train", ["--resume", str(runs / "cut"), "--data_root", words()[5]])
    whole, cut = (
        torch.load(runs / n / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for n in ("whole", "cut")
    )
    for key in whole:
        assert torch.equal(whole[key], cut[key]), key


@pytest.mark.parametrize(
    "extra, message",
    [
        (("--quantizer_lr", "0"), "quantizer_lr must be a finite number above 0, or 'width', got 0.0"),
        (("--quantizer_lr", "-1"), "quantizer_lr must be a finite number above 0"),
        (("--quantizer_lr", "nan"), "quantizer_lr must be a finite number above 0"),
        (("--quantizer_lr", "inf"), "quantizer_lr must be a finite number above 0"),
        (("--cfg_options", "quantizer_lr='wide'"), "quantizer_lr must be a finite number above 0"),
        (("--fold_clip", "0"), "fold_clip must be a finite number above 0 (leave it out for no limit), got 0.0"),
        (
            ("--quantizer_lr", "width", "--quantizer", "mlp"),
            "quantizer_lr is for the codebook of svq; the quantizer 'mlp'",
        ),
        (("--fold_clip", "0.1", "--quantizer", "vq"), "fold_clip is for the codebook of svq; the quantizer 'vq'"),
        (
            ("--quantizer_lr", "width", "--cfg_options", "quantizer_kwargs.output_relu=True"),
            "output_relu=True has none",
        ),
        (("--fold_clip", "0.1", "--cfg_options", "quantizer_kwargs.output_relu=True"), "output_relu=True has none"),
        (
            (
                "--quantizer_lr",
                "0.5",
                "--cfg_options",
                "quantizer_kwargs={'learn_codebook':False,'learn_projection':False}",
            ),
            "both frozen",
        ),
        (("-m", "simvp", "--quantizer_lr", "0.5"), "quantizer_lr has no effect on the method 'simvp'"),
    ],
    ids=lambda e: " ".join(e) if isinstance(e, tuple) else None,
)
def test_bad_input_ends_with_one_message_before_training(words, run, extra, message):  # noqa: F811
    given = (
        [word for word in words() if "codebook_size" not in word]
        if "--quantizer" in extra or "-m" in extra
        else words()
    )
    assert message in fails(run, given + list(extra))


def test_the_factor_of_the_rate():
    model = build(quantizer_kwargs={"codebook_size": 1000})
    # d = 128, C' = 8: N sqrt(2/pi) (sqrt(2/8) / sqrt(8) + 1 / (sqrt(3) 128))
    expected = 1 / (1000 * math.sqrt(2 / math.pi) * (0.5 / math.sqrt(8) + 1 / (math.sqrt(3) * 128)))
    assert model.quantizer.width_factor(adaptive=True) == pytest.approx(expected)
