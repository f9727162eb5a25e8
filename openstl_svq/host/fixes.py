"""What OpenSTL (last commit of March 2024) needs to run on current packages.

Each defect has one entry in :data:`FIXES`: a name, what breaks, a test of whether this OpenSTL on these packages still
needs it, and the repair. The tests look at OpenSTL and the packages as they are, so a fix switches itself off once
OpenSTL mends the defect; then its entry can be deleted. No file of OpenSTL is touched: objects that it looks up by name
are replaced in memory.

Two defects are not here, because :class:`openstl_svq.training.experiment.Experiment` replaces the code that has them in both
hosts: ``test()`` scores the last weights and cannot read its own checkpoints, and ``Trainer(accelerator='gpu')`` is
hard-coded.
"""

import copy
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from timm.layers import to_2tuple

from ..data.registry import dataset_or_default
from .builtin.utils.parser import boolean


@dataclass(frozen=True)
class Fix:
    """One defect: ``needed()`` says whether it is there, ``apply()`` repairs it, after which ``needed()`` is False."""

    name: str
    breaks: str
    needed: Callable[[], bool]
    apply: Callable[[], None]


def apply() -> list[str]:
    """Imports OpenSTL and repairs what needs it; a second call changes nothing. Returns the names of the fixes applied.

    Raises:
        ImportError: OpenSTL, or something that it imports, is missing, or a fix does not know how it is laid out.
    """
    applied = []
    for fix in FIXES:
        try:
            if fix.needed():
                fix.apply()
                applied.append(fix.name)
        except AttributeError as error:
            raise ImportError(f"the fix {fix.name!r} does not fit this version of OpenSTL: {error}") from error
    return applied


def _openstl(module: str):
    return importlib.import_module(f"openstl.{module}")


def _accepts(function, argument: str) -> bool:
    return argument in inspect.signature(function).parameters


def _reads(function, name: str) -> bool:
    """Whether the code of ``function`` itself (not what it calls) looks up ``name`` as a global or an attribute."""
    return not hasattr(function, "__wrapped__") and name in function.__code__.co_names


# --- import -----------------------------------------------------------------------------------------------------------

# timm 1.0.12 renamed its own optimizers when it took over torch's; OpenSTL imports the old names.
_RENAMED_OPTIMIZERS = (("nadam", "Nadam", "NAdamLegacy"), ("radam", "RAdam", "RAdamLegacy"))


def _optimizers_needed():
    return any(
        not hasattr(importlib.import_module(f"timm.optim.{module}"), old) for module, old, _ in _RENAMED_OPTIMIZERS
    )


def _optimizers_apply():
    for name, old, new in _RENAMED_OPTIMIZERS:
        module = importlib.import_module(f"timm.optim.{name}")
        if not hasattr(module, old):
            setattr(module, old, getattr(module, new))


# --- translators ------------------------------------------------------------------------------------------------------

# The blocks of OpenSTL inherit from timm's. A class in between, put there through `__bases__`, gives them the arguments
# and attributes that timm had when they were written.


def _vit_needed():
    return not _accepts(_openstl("modules.simvp_modules").ViTSubBlock.__bases__[0], "drop")


def _vit_apply():
    modules = _openstl("modules.simvp_modules")

    class ViTBlock(modules.ViTBlock):
        def __init__(self, *args, drop=0.0, **kwargs):
            super().__init__(*args, proj_drop=drop, **kwargs)

    modules.ViTSubBlock.__bases__ = (ViTBlock,)


def _swin_needed():
    return not _accepts(_openstl("modules.simvp_modules").SwinSubBlock.__bases__[0], "drop")


def _swin_apply():
    for modules, block in (
        (_openstl("modules.simvp_modules"), "SwinSubBlock"),
        (_openstl("modules.swinlstm_modules"), "STB"),
    ):
        getattr(modules, block).__bases__ = (_swin_block(modules.SwinTransformerBlock),)
        modules.window_partition = _with_pair(modules.window_partition)
        modules.window_reverse = _with_pair(modules.window_reverse)


def _swin_block(block):
    class SwinBlock(block):
        """Integer window and shift, ``drop`` and one ``drop_path``, as in timm < 0.9."""

        def __init__(self, dim, input_resolution, *, window_size=7, shift_size=0, drop=0.0, **kwargs):
            if min(input_resolution) <= window_size:  # now decided per axis; then for both
                window_size, shift_size = min(input_resolution), 0
            super().__init__(
                dim, input_resolution, window_size=window_size, shift_size=shift_size, proj_drop=drop, **kwargs
            )
            self.window_size, self.shift_size = window_size, shift_size
            self.drop_path = self.drop_path1
            del self.drop_path1, self.drop_path2

    return SwinBlock


def _with_pair(function):
    """timm's function of windows with an integer allowed as their size."""

    @functools.wraps(function)
    def with_pair(x, window_size, *args, **kwargs):
        return function(x, to_2tuple(window_size), *args, **kwargs)

    return with_pair


def _patch_merging_needed():
    return not _accepts(_openstl("modules.swinlstm_modules").PatchMerging, "input_resolution")


def _patch_merging_apply():
    modules = _openstl("modules.swinlstm_modules")

    class PatchMerging(modules.PatchMerging):
        """With the resolution fixed at the start and tokens in one row, as in timm < 0.9."""

        def __init__(self, input_resolution, dim, **kwargs):
            super().__init__(dim, **kwargs)
            self.input_resolution = input_resolution

        def forward(self, x):
            x = x.unflatten(1, self.input_resolution)  # (B, H*W, C) -> (B, H, W, C)
            return super().forward(x).flatten(1, 2)  # (B, H/2*W/2, 2C)

    modules.PatchMerging = PatchMerging


# --- methods ----------------------------------------------------------------------------------------------------------


def _scheduler_needed():
    return "lr_scheduler_step" not in vars(_openstl("methods.base_method").Base_method)


def _scheduler_apply():
    def lr_scheduler_step(self, scheduler, metric):
        if isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler):
            scheduler.step()
        else:  # timm's take the number of the epoch they prepare; this is called at the end of the one before
            scheduler.step(epoch=self.current_epoch + 1)

    _openstl("methods.base_method").Base_method.lr_scheduler_step = lr_scheduler_step


def _weather_mv_needed():
    return _reads(_openstl("methods.base_method").Base_method.__init__, "data_name")


def _weather_mv_apply():
    Base_method = _openstl("methods.base_method").Base_method
    variables = _openstl("datasets.dataloader_weather").mv_data_map
    original = Base_method.__init__

    @functools.wraps(original)
    def __init__(self, **args):
        # Lightning collects the hyperparameters from the callers' frames, of those that have a `__class__`, and the
        # outermost wins: with one here, they keep the true `dataname`.
        __class__ = Base_method  # noqa: F841
        name, is_field = args.get("data_name"), dataset_or_default(args["dataname"]).is_field
        original(self, **{**args, "dataname": "a field"} if is_field else args)
        if is_field:  # what the branch that is passed over would have set
            multivariate = isinstance(name, str) and name in variables
            self.spatial_norm, self.channel_names = True, list(variables[name]) if multivariate else None

    Base_method.__init__ = __init__


def _e3dlstm_needed():
    E3DLSTM = _openstl("methods.e3dlstm").E3DLSTM
    return _reads(E3DLSTM._build_model, "args") and not hasattr(E3DLSTM, "args")


def _e3dlstm_apply():
    _openstl("methods.e3dlstm").E3DLSTM.args = property(lambda self: self.hparams)


def _phydnet_needed():
    return _reads(_openstl("methods.phydnet").PhyDNet.forward, "module") and not hasattr(
        _openstl("models.phydnet_model").PhyDNet_Model, "module"
    )


def _phydnet_apply():
    _openstl("models.phydnet_model").PhyDNet_Model.module = property(lambda self: self)


def _device_needed():
    return _reads(_openstl("utils.predrnn_utils").schedule_sampling, "device") and not hasattr(
        _openstl("methods.predrnn").PredRNN.training_step, "__wrapped__"
    )


def _device_apply():
    for method_class in (_openstl("methods.predrnn").PredRNN, _openstl("methods.mau").MAU):
        method_class.training_step = _with_own_device(method_class.training_step)
    for cell in (_openstl("modules.phydnet_modules").PhyCell, _openstl("modules.phydnet_modules").PhyD_ConvLSTM):
        cell.device = property(lambda self: next(self.parameters()).device, lambda self, value: None)


def _with_own_device(training_step):
    @functools.wraps(training_step)
    def on_own_device(self, batch, batch_idx):
        self.hparams.device = self.device.type
        return training_step(self, batch, batch_idx)

    return on_own_device


def _mim_needed():
    return _reads(_openstl("modules.mim_modules").MIMBlock.forward, "convlstm_c") and not hasattr(
        _openstl("models.mim_model").MIM_Model.forward, "__wrapped__"
    )


def _mim_apply():
    MIM_Model, MIM = _openstl("models.mim_model").MIM_Model, _openstl("methods.mim").MIM
    original = MIM_Model.forward

    @functools.wraps(original)
    def forward(self, *args, **kwargs):
        for block in self.stlstm_layer[1:]:
            block.convlstm_c = None
        return original(self, *args, **kwargs)

    MIM_Model.forward = forward
    del MIM.__init__  # all it adds to PredRNN's is to refuse batches of different sizes


def _sampling_needed():
    return not isinstance(vars(_openstl("methods.predrnn").PredRNN).get("eta"), property)


def _sampling_apply():
    # Both methods keep the probability of a true frame in `eta` and lower it by the rate in every step; MAU forgets it.
    def eta(self):
        return 1.0 - self.hparams.sampling_changing_rate * self.global_step

    for method_class in (_openstl("methods.predrnn").PredRNN, _openstl("methods.mau").MAU):
        method_class.eta = property(eta, lambda self, value: None)


def _phydnet_loss_needed():
    return _reads(_openstl("methods.phydnet").PhyDNet.training_step, "criterion")


def _phydnet_loss_apply():
    def training_step(self, batch, batch_idx):
        loss = self.model(*batch, self.constraints, max(0.0, 1.0 - 0.003 * self.current_epoch))
        self.log("train_loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    _openstl("methods.phydnet").PhyDNet.training_step = training_step


# --- data -------------------------------------------------------------------------------------------------------------


def _loader_needed():
    try:
        _openstl("datasets.utils").create_loader([0], batch_size=1, num_workers=0)
    except ValueError:
        return True
    return False


def _loader_apply():
    utils = _openstl("datasets.utils")
    original = utils.create_loader

    @functools.wraps(original)
    def create_loader(dataset, batch_size, *args, num_workers=1, persistent_workers=True, pin_memory=False, **kwargs):
        return original(
            dataset,
            batch_size,
            *args,
            num_workers=num_workers,
            persistent_workers=persistent_workers and num_workers > 0,
            pin_memory=pin_memory and torch.cuda.is_available(),  # torch warns of it without a GPU
            **kwargs,
        )

    _replace("datasets", original, create_loader)


def _weather_double_needed():
    WeatherBenchDataset = _openstl("datasets.dataloader_weather").WeatherBenchDataset
    return not hasattr(WeatherBenchDataset.__init__, "__wrapped__") and not _reads(
        WeatherBenchDataset.__getitem__, "float"
    )


def _weather_double_apply():
    WeatherBenchDataset = _openstl("datasets.dataloader_weather").WeatherBenchDataset
    original = WeatherBenchDataset.__init__

    @functools.wraps(original)
    def __init__(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.data = self.data.astype("float32", copy=False)

    WeatherBenchDataset.__init__ = __init__


def _human_needed():
    return _reads(_openstl("datasets.dataloader_human").HumanDataset.__getitem__, "aft_seq_length")


def _human_apply():
    HumanDataset = _openstl("datasets.dataloader_human").HumanDataset
    original = HumanDataset.__getitem__

    @functools.wraps(original)
    def __getitem__(self, index):
        view = copy.copy(self)
        view.aft_seq_length = self.pre_seq_length  # where the targets start
        return original(view, index)

    HumanDataset.__getitem__ = __getitem__


def _hickle_needed():
    hickle = _openstl("datasets.dataloader_kitticaltech").hkl
    return hickle is None or int(getattr(hickle, "__version__", "0").split(".")[0]) >= 4


def _hickle_apply():
    loader = _openstl("datasets.dataloader_kitticaltech")
    hickle = loader.hkl
    loader.hkl = SimpleNamespace(load=lambda path: read_hickle(path, otherwise=hickle and hickle.load))


def read_hickle(path: str | Path, otherwise: Callable | None = None) -> np.ndarray | list[str]:
    """The array, or the list of strings, in a hickle file.

    KITTI's files are of hickle 2, which later versions cannot read. Up to version 3 such a value is one HDF5 dataset,
    as an array still is: that needs no hickle, and no pickle in the file is run.

    Args:
        path: file to read.
        otherwise: reads a file of another form (hickle's ``load``).

    Raises:
        OSError: the file is missing or is not HDF5.
        ValueError: it holds something else, and ``otherwise`` is not given.
    """
    import h5py

    with h5py.File(path, "r") as file:
        values = [file[name] for name in ("data", "data_0") if isinstance(file.get(name), h5py.Dataset)]
        value = values[0][()] if len(values) == 1 else None
        entries = list(file)
    if value is None:
        if otherwise is None:
            raise ValueError(
                f"{path} does not hold one array or list of strings; it has the entries {entries}. "
                "Install hickle, or use the kitticaltech_npy files instead."
            )
        return otherwise(path)
    if value.dtype.kind in "SO":
        return [v.decode() if isinstance(v, bytes) else v for v in value]
    return value


# --- metrics and command line -----------------------------------------------------------------------------------------


def _ssim_needed():
    ssim = _openstl("core.metrics").cal_ssim
    return ssim is None or not _accepts(ssim, "multichannel")


def _ssim_apply():
    from skimage.metrics import structural_similarity

    @functools.wraps(structural_similarity)
    def cal_ssim(image, reference, multichannel=False):
        # 2.0 is what scikit-image took for float images before it asked for the range (OpenSTL gives none).
        return structural_similarity(image, reference, channel_axis=-1 if multichannel else None, data_range=2.0)

    del cal_ssim.__wrapped__  # its signature is its own
    _openstl("core.metrics").cal_ssim = cal_ssim


def _parser_needed():
    return any(_is_closed(action) or action.type is bool for action in _openstl("utils").create_parser()._actions)


def _parser_apply():
    original = _openstl("utils.parser").create_parser

    @functools.wraps(original)
    def create_parser():
        parser = original()
        for action in parser._actions:
            if _is_closed(action):
                action.choices = None
            if action.type is bool:
                action.type = boolean
        return parser

    _replace("utils", original, create_parser)


# The dataset's entry says these.
_OF_THE_DATASET = {"pre_seq_length", "aft_seq_length", "total_length"}


def _defaults_needed():
    utils = _openstl("utils")
    return any(_late_default(action, utils.default_parser()) is not None for action in utils.create_parser()._actions)


def _defaults_apply():
    original, default_parser = _openstl("utils").create_parser, _openstl("utils").default_parser

    @functools.wraps(original)
    def create_parser():
        parser = original()
        for action in parser._actions:
            late = _late_default(action, default_parser())
            action.default = action.default if late is None else late
        return parser

    _replace("utils", original, create_parser)


def _late_default(action, values: dict):
    """What OpenSTL's scripts put in place of this option's missing default, if anything."""
    return values.get(action.dest) if action.default is None and action.dest not in _OF_THE_DATASET else None


def _is_closed(action) -> bool:
    return action.dest in ("method", "dataname") and action.choices is not None


def _replace(package: str, original, replacement):
    """Replaces a function of OpenSTL under its name in all modules of ``package`` that have imported it."""
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(f"openstl.{package}.") and getattr(module, original.__name__, None) is original:
            setattr(module, original.__name__, replacement)


FIXES = (
    Fix("optimizer_names", "import: timm >= 1.0.12 renamed Nadam and RAdam", _optimizers_needed, _optimizers_apply),
    Fix("vit_block", "translator vit: timm 0.9 renamed the argument `drop`", _vit_needed, _vit_apply),
    Fix(
        "swin_block",
        "translator swin, methods swinlstm_*: timm 0.9 renamed `drop`, doubled `drop_path`, paired window and shift",
        _swin_needed,
        _swin_apply,
    ),
    Fix(
        "patch_merging",
        "method swinlstm_d: timm 0.9 dropped the fixed resolution of PatchMerging",
        _patch_merging_needed,
        _patch_merging_apply,
    ),
    Fix(
        "lr_scheduler_step",
        "schedules cosine, tanh, step, multistep: Lightning >= 2 refuses timm's schedulers",
        _scheduler_needed,
        _scheduler_apply,
    ),
    Fix(
        "weather_mv",
        "datasets weather_mv_*: an attribute is read from a dictionary",
        _weather_mv_needed,
        _weather_mv_apply,
    ),
    Fix(
        "e3dlstm_args",
        "method e3dlstm: reads self.args, which the Lightning branch no longer sets",
        _e3dlstm_needed,
        _e3dlstm_apply,
    ),
    Fix(
        "phydnet_ddp",
        "method phydnet with --dist: unwraps a model that Lightning does not wrap",
        _phydnet_needed,
        _phydnet_apply,
    ),
    Fix(
        "mim_state",
        "method mim: a batch starts from the state of the one before: forecasts depend on it, a smaller batch fails",
        _mim_needed,
        _mim_apply,
    ),
    Fix(
        "device",
        "methods phydnet, mau, PredRNN family: tensors go to the configured device (by default cuda), not Lightning's",
        _device_needed,
        _device_apply,
    ),
    Fix(
        "sampling",
        "PredRNN family, mau: how far scheduled sampling has come is in no checkpoint, so a resumed run differs; in mau "
        "it never advances",
        _sampling_needed,
        _sampling_apply,
    ),
    Fix(
        "phydnet_loss",
        "method phydnet: the loss, one number, is compared with the targets as if it were the forecast",
        _phydnet_loss_needed,
        _phydnet_loss_apply,
    ),
    Fix(
        "loader_without_workers",
        "--num_workers 0: persistent workers are always asked for",
        _loader_needed,
        _loader_apply,
    ),
    Fix(
        "weather_double",
        "datasets weather_*: files of packed integers or doubles become doubles, which no model takes",
        _weather_double_needed,
        _weather_double_apply,
    ),
    Fix(
        "human_targets",
        "dataset human: targets start at aft_seq_length, right only if input and output are equally long",
        _human_needed,
        _human_apply,
    ),
    Fix("hickle", "dataset kitticaltech: hickle >= 4 cannot read KITTI's .hkl files", _hickle_needed, _hickle_apply),
    Fix(
        "ssim",
        "metric ssim: scikit-image >= 0.20 has no `multichannel`; without lpips it is switched off",
        _ssim_needed,
        _ssim_apply,
    ),
    Fix(
        "parser",
        "command line: a fixed list of methods and datasets; `--filter_bias_and_bn False` is true",
        _parser_needed,
        _parser_apply,
    ),
    Fix(
        "parser_defaults",
        "command line: epoch, lr, sched and model_type have no default until the scripts have read a file",
        _defaults_needed,
        _defaults_apply,
    ),
)
