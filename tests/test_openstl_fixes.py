"""Each fix for the real OpenSTL, on a stand-in that has the defect; runs without OpenSTL."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from comparison import assert_close
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock, window_partition, window_reverse
from timm.models.vision_transformer import Block
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from openstl_svq.host import fixes

PARITY = Path(__file__).parent / "parity"


@pytest.fixture
def stand_in(monkeypatch):
    """``stand_in("core.metrics", name=object, ...)`` makes a module ``openstl.core.metrics`` for the test."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "openstl"]:
        monkeypatch.delitem(sys.modules, name)

    def make(name, **content):
        module = ModuleType(f"openstl.{name}")
        for key, value in content.items():
            setattr(module, key, value)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    return make


def applied(name):
    """Applies the fix called ``name``: it must be needed before and not after."""
    fix = next(f for f in fixes.FIXES if f.name == name)
    assert fix.needed()
    fix.apply()
    assert not fix.needed()
    return fix


def test_each_fix_has_a_name_a_reason_and_a_test():
    names = [fix.name for fix in fixes.FIXES]
    assert len(set(names)) == len(names)
    assert all(fix.breaks for fix in fixes.FIXES)
    tested = {name.removeprefix("test_fix_") for name in globals()}
    assert set(names) <= tested


def test_apply_uses_only_what_is_needed_and_names_it(monkeypatch):
    done = []
    monkeypatch.setattr(
        fixes,
        "FIXES",
        (
            fixes.Fix("first", "", lambda: "first" not in done, lambda: done.append("first")),
            fixes.Fix("second", "", lambda: False, lambda: done.append("second")),
        ),
    )
    assert fixes.apply() == ["first"]
    assert fixes.apply() == []
    assert done == ["first"]


def test_apply_names_the_fix_that_does_not_fit(monkeypatch):
    def renamed():
        return SimpleNamespace().Base_method

    monkeypatch.setattr(fixes, "FIXES", (fixes.Fix("weather_mv", "", renamed, lambda: None),))
    with pytest.raises(ImportError, match="'weather_mv' does not fit this version of OpenSTL"):
        fixes.apply()


def test_fix_optimizer_names(monkeypatch):
    modules = {}
    for name, new in (("nadam", "NAdamLegacy"), ("radam", "RAdamLegacy")):
        modules[name] = ModuleType(f"timm.optim.{name}")
        setattr(modules[name], new, type(new, (), {}))
        monkeypatch.setitem(sys.modules, f"timm.optim.{name}", modules[name])
    applied("optimizer_names")
    assert modules["nadam"].Nadam is modules["nadam"].NAdamLegacy
    assert modules["radam"].RAdam is modules["radam"].RAdamLegacy


def test_optimizer_names_that_exist_are_left_alone(monkeypatch):
    modules = {name: ModuleType(f"timm.optim.{name}") for name in ("nadam", "radam")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"timm.optim.{name}", module)
    modules["nadam"].Nadam = own = type("Nadam", (), {})
    modules["radam"].RAdamLegacy = type("RAdamLegacy", (), {})
    applied("optimizer_names")
    assert modules["nadam"].Nadam is own
    assert modules["radam"].RAdam is modules["radam"].RAdamLegacy


def test_fix_vit_block(stand_in):
    class ViTSubBlock(Block):
        def __init__(self, dim, drop):
            super().__init__(dim=dim, num_heads=2, drop=drop)

    stand_in("modules.simvp_modules", ViTBlock=Block, ViTSubBlock=ViTSubBlock)
    with pytest.raises(TypeError, match="drop"):
        ViTSubBlock(8, 0.25)
    applied("vit_block")
    block = ViTSubBlock(8, 0.25)
    assert block.attn.proj_drop.p == block.mlp.drop1.p == 0.25
    assert set(block.state_dict()) == set(Block(8, 2).state_dict())
    assert isinstance(block, Block)


def swin_modules(stand_in):
    class SwinSubBlock(SwinTransformerBlock):
        def __init__(self, resolution, window, shift):
            super().__init__(8, resolution, num_heads=2, window_size=window, shift_size=shift, drop=0.25, drop_path=0.1)

    simvp = stand_in(
        "modules.simvp_modules",
        SwinTransformerBlock=SwinTransformerBlock,
        SwinSubBlock=SwinSubBlock,
        window_partition=window_partition,
        window_reverse=window_reverse,
    )
    lstm = stand_in(
        "modules.swinlstm_modules",
        SwinTransformerBlock=SwinTransformerBlock,
        PatchMerging=PatchMerging,
        STB=type("STB", (SwinTransformerBlock,), {}),
        window_partition=window_partition,
        window_reverse=window_reverse,
    )
    return simvp, lstm


def test_fix_swin_block(stand_in):
    simvp, lstm = swin_modules(stand_in)
    with pytest.raises(TypeError, match="drop"):
        simvp.SwinSubBlock((8, 16), 4, 2)
    applied("swin_block")
    block = simvp.SwinSubBlock((8, 16), 4, 2)
    assert (block.window_size, block.shift_size) == (4, 2)
    assert block.attn.proj_drop.p == 0.25
    assert block.drop_path.drop_prob == 0.1
    assert not hasattr(block, "drop_path1")
    assert "drop" in lstm.STB.__init__.__kwdefaults__

    x = torch.arange(2 * 8 * 16 * 3.0).view(2, 8, 16, 3)
    for modules in (simvp, lstm):
        windows = modules.window_partition(x, 4)
        assert_close(windows, window_partition(x, (4, 4)))
        assert_close(modules.window_reverse(windows, 4, 8, 16), x)


@pytest.mark.parametrize("resolution", [(4, 8), (8, 4), (2, 8), (4, 4)])
def test_swin_window_that_fills_one_axis_is_not_shifted_on_the_other(stand_in, resolution):
    """timm < 0.9 decided for both axes together; newer versions would shift the longer one."""
    simvp, _ = swin_modules(stand_in)
    applied("swin_block")
    block = simvp.SwinSubBlock(resolution, 4, 2)
    assert (block.window_size, block.shift_size) == (min(resolution), 0)
    assert block.attn.window_area == min(resolution) ** 2


def test_fix_patch_merging(stand_in):
    _, lstm = swin_modules(stand_in)
    applied("patch_merging")
    old, new = lstm.PatchMerging((4, 6), 8), PatchMerging(8)
    new.load_state_dict(old.state_dict())
    x = torch.randn(2, 4, 6, 8)
    assert_close(old(x.flatten(1, 2)), new(x).flatten(1, 2))


def test_fix_lr_scheduler_step(stand_in, tmp_path):
    """The rates that a run sees are those measured in OpenSTL, one for each epoch, none late."""
    from timm.scheduler.cosine_lr import CosineLRScheduler

    class Base_method(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.rates = nn.Linear(1, 1), []

        def training_step(self, batch, batch_idx):
            self.rates.append(self.optimizers().param_groups[0]["lr"])
            return self.model(batch[0]).sum()

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), lr=5e-3)
            scheduler = CosineLRScheduler(optimizer, t_initial=50, lr_min=1e-6, warmup_lr_init=1e-5, warmup_t=5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}

    def rates():
        trainer = pl.Trainer(
            max_epochs=12,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        method = Base_method()
        trainer.fit(method, DataLoader(TensorDataset(torch.ones(1, 1))))
        return method.rates

    stand_in("methods.base_method", Base_method=Base_method)
    with pytest.raises(Exception, match="lr_scheduler_step"):
        rates()
    applied("lr_scheduler_step")
    measured = json.loads((PARITY / "lr_schedules.json").read_text())["schedules"]["cosine_epoch50_lr5e-3_warmup5"]
    assert_close(np.array(rates()), np.array(measured["used_in_epoch_when_stepped_with_e_plus_1_after_epoch_e"][:12]))


def test_lr_scheduler_step_steps_torch_schedulers(stand_in):
    module = stand_in("methods.base_method", Base_method=type("Base_method", (), {"current_epoch": 7}))
    applied("lr_scheduler_step")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step()
    module.Base_method().lr_scheduler_step(scheduler, None)
    assert scheduler.get_last_lr() == [0.5]


def test_fix_weather_mv(stand_in):
    class Base_method(pl.LightningModule):
        def __init__(self, **args):
            super().__init__()
            self.spatial_norm, self.channel_names = "weather" in args["dataname"], None
            if self.spatial_norm and "mv" in args["data_name"]:
                self.channel_names = args.data_name
            self.save_hyperparameters()

    class Method(Base_method):
        def __init__(self, **args):
            super().__init__(**args)

    class WithArgument(Method):
        def __init__(self, own=1, **args):
            super().__init__(**args)

    stand_in("methods.base_method", Base_method=Base_method)
    stand_in("datasets.dataloader_weather", mv_data_map={"mv": ["r", "t"]})
    config = {"dataname": "weather_mv_4_4_s6_5_625", "data_name": "mv", "lr": 0.1}
    with pytest.raises(AttributeError):
        Method(**config)
    applied("weather_mv")
    method = WithArgument(own=2, **config)
    assert (method.spatial_norm, method.channel_names) == (True, ["r", "t"])
    assert dict(method.hparams) == {**config, "own": 2}

    config.update(dataname="weather_t2m", data_name="t2m")
    method = Method(**config)
    assert (method.spatial_norm, method.channel_names) == (True, None)
    assert dict(method.hparams) == config


def test_fix_e3dlstm_args(stand_in):
    class E3DLSTM(pl.LightningModule):
        def __init__(self, **args):
            super().__init__()
            self.save_hyperparameters()
            self.model = self._build_model(**args)

        def _build_model(self, **args):
            return nn.Linear(self.args.width, 1)

    stand_in("methods.e3dlstm", E3DLSTM=E3DLSTM)
    with pytest.raises(AttributeError, match="args"):
        E3DLSTM(width=3)
    applied("e3dlstm_args")
    assert E3DLSTM(width=3).model.in_features == 3


def test_fix_phydnet_ddp(stand_in):
    class PhyDNet_Model(nn.Module):
        def inference(self):
            return "forecast"

    class PhyDNet:
        model = PhyDNet_Model()

        def forward(self):
            return self.model.module.inference()

    stand_in("methods.phydnet", PhyDNet=PhyDNet)
    stand_in("models.phydnet_model", PhyDNet_Model=PhyDNet_Model)
    applied("phydnet_ddp")
    assert PhyDNet().forward() == "forecast"
    assert PhyDNet.model.state_dict() == {}  # the model is not registered in itself


def test_fix_mim_state(stand_in):
    class MIMBlock(nn.Module):
        convlstm_c = None

        def forward(self, x):
            self.convlstm_c = x if self.convlstm_c is None else self.convlstm_c + x
            return self.convlstm_c

    class MIM_Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.stlstm_layer = nn.ModuleList([nn.Identity(), MIMBlock(), MIMBlock()])

        def forward(self, x, steps=2):
            for _ in range(steps):
                y = self.stlstm_layer[2](self.stlstm_layer[1](x))
            return y

    class PredRNN:
        def __init__(self, **args):
            self.args = args

    class MIM(PredRNN):
        def __init__(self, **args):
            PredRNN.__init__(self, **args)
            raise AssertionError("batches of different sizes")

    stand_in("modules.mim_modules", MIMBlock=MIMBlock)
    stand_in("models.mim_model", MIM_Model=MIM_Model)
    stand_in("methods.mim", MIM=MIM)
    applied("mim_state")
    model = MIM_Model()
    first, again, smaller = model(torch.ones(4, 1)), model(torch.ones(4, 1)), model(torch.ones(1, 1), steps=2)
    assert_close(again, first)
    assert_close(smaller, first[:1])
    assert first[0] == 3  # within a forecast the state is kept: 1, then 1 + 2
    assert MIM(batch_size=1).args == {"batch_size": 1}


def test_fix_device(stand_in):
    def schedule_sampling(args):
        return torch.zeros(1).to(args.device)

    class PredRNN(pl.LightningModule):
        def __init__(self, **args):
            super().__init__()
            self.save_hyperparameters()

        def training_step(self, batch, batch_idx):
            return schedule_sampling(self.hparams)

    class MAU(PredRNN):
        def training_step(self, batch, batch_idx):
            return schedule_sampling(self.hparams)

    class Cell(nn.Module):
        def __init__(self, device):
            super().__init__()
            self.weight, self.device = nn.Parameter(torch.zeros(1)), device

    stand_in("utils.predrnn_utils", schedule_sampling=schedule_sampling)
    stand_in("methods.predrnn", PredRNN=PredRNN)
    stand_in("methods.mau", MAU=MAU)
    stand_in("modules.phydnet_modules", PhyCell=Cell, PhyD_ConvLSTM=type("PhyD_ConvLSTM", (Cell,), {}))
    with pytest.raises(RuntimeError):
        PredRNN(device="no_such_device").training_step(None, 0)
    applied("device")
    for method_class in (PredRNN, MAU):
        method = method_class(device="no_such_device")
        assert method.training_step(None, 0).device.type == method.hparams.device == "cpu"
    assert Cell("no_such_device").device == torch.device("cpu")
    assert Cell("no_such_device").to("meta").device == torch.device("meta")


def test_fix_sampling(stand_in):
    class PredRNN(pl.LightningModule):
        def __init__(self, **args):
            super().__init__()
            self.save_hyperparameters()
            self.eta = 1.0

    class MAU(PredRNN):
        pass

    stand_in("methods.predrnn", PredRNN=PredRNN)
    stand_in("methods.mau", MAU=MAU)
    applied("sampling")
    for method_class in (PredRNN, MAU):
        method = method_class(sampling_changing_rate=0.25)
        assert method.eta == 1.0
        method._trainer = SimpleNamespace(global_step=3)  # as after a resume
        method.eta = 0.9  # what the last step has left
        assert method.eta == 0.25


def test_fix_phydnet_loss(stand_in):
    class PhyDNet(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.constraints, self.criterion = "constraints", nn.MSELoss()

        def model(self, x, y, constraints, ratio):
            assert (x, y, constraints, ratio) == ("x", "y", "constraints", 1.0)
            return torch.tensor(3.0)

        def training_step(self, batch, batch_idx):
            return self.criterion(self.model(*batch, self.constraints, 1.0), torch.zeros(2))

        def log(self, name, value, **kwargs):
            self.logged = name, value

    stand_in("methods.phydnet", PhyDNet=PhyDNet)
    applied("phydnet_loss")
    method = PhyDNet()
    assert method.training_step(("x", "y"), 0) == 3
    assert method.logged == ("train_loss", 3)


def test_fix_loader_without_workers(stand_in):
    def create_loader(dataset, batch_size, shuffle=True, num_workers=1, pin_memory=False, persistent_workers=True):
        return DataLoader(
            dataset, batch_size, num_workers=num_workers, pin_memory=pin_memory, persistent_workers=persistent_workers
        )

    utils = stand_in("datasets.utils", create_loader=create_loader)
    user = stand_in("datasets.dataloader_taxibj", create_loader=create_loader)
    other = stand_in("datasetsx", create_loader=create_loader)
    own = stand_in("datasets.dataloader_own", create_loader=len)
    without = stand_in("datasets.pipelines")
    applied("loader_without_workers")
    assert user.create_loader is utils.create_loader is not create_loader
    assert other.create_loader is create_loader and own.create_loader is len
    assert not hasattr(without, "create_loader")
    loader = user.create_loader([1, 2], batch_size=2, shuffle=False, num_workers=0, pin_memory=True)
    assert next(iter(loader)).tolist() == [1, 2]
    assert loader.pin_memory == torch.cuda.is_available()
    assert user.create_loader([1, 2], 1, num_workers=1).persistent_workers


def test_fix_weather_double(stand_in):
    class WeatherBenchDataset:
        def __init__(self, data, mean=None):
            self.data, self.mean = data, mean

        def __getitem__(self, index):
            return torch.tensor(self.data[index])

    stand_in("datasets.dataloader_weather", WeatherBenchDataset=WeatherBenchDataset)
    applied("weather_double")
    assert WeatherBenchDataset(np.ones(3))[0].dtype == torch.float32
    single = np.ones(3, dtype=np.float32)
    dataset = WeatherBenchDataset(single, mean=2)
    assert dataset.data is single and dataset.mean == 2


def test_fix_human_targets(stand_in):
    class HumanDataset:
        pre_seq_length, aft_seq_length = 4, 2

        def __getitem__(self, index):
            frames = list(range(index, index + self.pre_seq_length + 2))
            return frames[: self.pre_seq_length], frames[self.aft_seq_length :]

    stand_in("datasets.dataloader_human", HumanDataset=HumanDataset)
    assert len(HumanDataset()[0][1]) == 4
    applied("human_targets")
    dataset = HumanDataset()
    assert dataset[10] == ([10, 11, 12, 13], [14, 15])
    assert dataset.aft_seq_length == 2


def test_fix_hickle(stand_in):
    asked = []
    hickle = SimpleNamespace(__version__="5.0.3", load=lambda path: "hickle")
    module = stand_in("datasets.dataloader_kitticaltech", hkl=hickle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixes, "read_hickle", lambda path, otherwise: asked.append(otherwise) or path)
        applied("hickle")
        assert module.hkl.load("X.hkl") == "X.hkl"
        assert asked[-1](None) == "hickle"
        module.hkl = None  # hickle is not installed
        applied("hickle")
        module.hkl.load("X.hkl")
        assert asked[-1] is None


# Entries as hickle of that version writes them: the array's name, and the file's attributes.
HICKLE_LAYOUTS = {
    "1": ("data", {}),
    "2": ("data_0", {"CLASS": b"hickle", "VERSION": 3}),
    "5": ("data", {"HICKLE_VERSION": "5.0.3"}),
}


@pytest.mark.parametrize("version", HICKLE_LAYOUTS)
def test_read_hickle(tmp_path, version):
    h5py = pytest.importorskip("h5py")
    name, attributes = HICKLE_LAYOUTS[version]
    frames = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for file, value in (("X.hkl", frames), ("sources.hkl", np.array([b"city-1", b"city-1", b"road-2"]))):
        with h5py.File(tmp_path / file, "w") as f:
            f[name] = value
            f.attrs.update(attributes)
            if version == "1":
                f["type"] = [b"ndarray"]
    read = fixes.read_hickle(tmp_path / "X.hkl")
    assert read.dtype == np.uint8 and np.array_equal(read, frames)
    assert fixes.read_hickle(tmp_path / "sources.hkl") == ["city-1", "city-1", "road-2"]


def test_read_hickle_refuses_what_is_not_one_value(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "dict.hkl", "w") as f:
        f.create_group("data")
    with pytest.raises(ValueError, match="does not hold one array.*kitticaltech_npy"):
        fixes.read_hickle(tmp_path / "dict.hkl")
    assert fixes.read_hickle(tmp_path / "dict.hkl", otherwise=lambda path: path.name) == "dict.hkl"


@pytest.mark.parametrize("without_lpips", [False, True])
def test_fix_ssim(stand_in, without_lpips):
    from skimage.metrics import structural_similarity

    module = stand_in("core.metrics", cal_ssim=None if without_lpips else structural_similarity)
    applied("ssim")
    data = np.load(PARITY / "metrics.npz")
    cases = json.loads((PARITY / "metrics.json").read_text())["cases"]
    for name in ("gray", "rgb"):
        pred, true = data[f"{name}/pred"].clip(0, 1), data[f"{name}/true"]
        ssim = np.mean(
            [
                [module.cal_ssim(p.swapaxes(0, 2), t.swapaxes(0, 2), multichannel=True) for p, t in zip(*pair)]
                for pair in zip(pred, true)
            ]
        )
        old = next(case["ssim_unmodified_scikit_image_0_19_3"] for case in cases if case["input"] == name)
        assert_close(ssim, np.float64(old), rtol=5e-7)


def test_fix_parser(stand_in, capsys):
    def create_parser():
        parser = argparse.ArgumentParser()
        parser.add_argument("--method", "-m", default="SimVP", choices=["SimVP"])
        parser.add_argument("--dataname", "-d", choices=["mmnist"])
        parser.add_argument("--opt", choices=["adam"])
        parser.add_argument("--filter_bias_and_bn", type=bool, default=False)
        return parser

    stand_in("utils.parser", create_parser=create_parser)
    utils = stand_in("utils", create_parser=create_parser)
    applied("parser")
    args = utils.create_parser().parse_args(
        ["-m", "simvp_svq", "-d", "weather_sample", "--filter_bias_and_bn", "False"]
    )
    assert (args.method, args.dataname, args.filter_bias_and_bn) == ("simvp_svq", "weather_sample", False)
    assert utils.create_parser().parse_args(["--filter_bias_and_bn", "True"]).filter_bias_and_bn is True
    for bad in (["--filter_bias_and_bn", "maybe"], ["--opt", "sgd"]):
        with pytest.raises(SystemExit):
            utils.create_parser().parse_args(bad)
    assert "true or false is needed, got 'maybe'" in capsys.readouterr().err


def test_fix_parser_defaults(stand_in):
    def create_parser():
        parser = argparse.ArgumentParser()
        parser.add_argument("--epoch", type=int)
        parser.add_argument("--aft_seq_length", type=int)
        parser.add_argument("--opt_eps", type=float)
        parser.add_argument("--seed", type=int, default=1)
        return parser

    utils = stand_in(
        "utils",
        create_parser=create_parser,
        default_parser=lambda: {"epoch": 200, "aft_seq_length": 10, "opt_eps": None, "seed": 42},
    )
    applied("parser_defaults")
    assert vars(utils.create_parser().parse_args([])) == {
        "epoch": 200,
        "aft_seq_length": None,
        "opt_eps": None,
        "seed": 1,
    }
    assert utils.create_parser().parse_args(["--epoch", "3"]).epoch == 3
