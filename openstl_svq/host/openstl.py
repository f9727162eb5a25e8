"""The real OpenSTL as a host: finding it, importing it with its fixes, and asking it what its methods need."""

import importlib
import importlib.metadata
import importlib.util
import re
import warnings
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

COMMIT = "c74deb5d4c3da585291f9f18281f3fefdbba3a54"  # branch OpenSTL-Lightning
INSTALL = f'pip install "git+https://github.com/chengtan9907/OpenSTL@{COMMIT}"'
TESTED_VERSIONS = ("1.0.0",)


@dataclass(frozen=True)
class OpenSTLInfo:
    """What answers to the name ``openstl`` here.

    Attributes:
        kind: ``real`` (it can be imported), ``mesh`` (the 3D-mesh library of that name) or ``broken``.
        version: its version, with the commit where pip knows it.
        path: where it lies.
        reason: why it cannot be used, in one line; ``None`` for ``real``.
    """

    kind: str
    version: str
    path: str
    reason: str | None = None


def find() -> OpenSTLInfo | None:
    """Looks for the real OpenSTL and tries to import it; ``None`` where nothing of that name is installed."""
    try:
        spec = importlib.util.find_spec("openstl")
    except ValueError:  # a module without a specification stands in sys.modules
        spec = None
    if spec is None:
        return None
    folders = map(Path, spec.submodule_search_locations or ())
    folder = next((f for f in folders if (f / "methods" / "__init__.py").is_file()), None)
    if folder is None:
        version = _distribution_version() or "of unknown version"
        return OpenSTLInfo(
            "mesh",
            version,
            str(spec.origin),
            f"the installed package openstl ({version}) is a 3D-mesh library, not OpenSTL",
        )
    version = _version(folder)
    if int(version.partition(".")[0]) < 1:
        return OpenSTLInfo(
            "broken",
            version,
            str(folder),
            f"OpenSTL {version} in {folder} is older than its branch OpenSTL-Lightning, which is needed",
        )
    try:
        _import()
    except Exception as error:  # importing OpenSTL runs a dozen packages, which may fail in any way
        return OpenSTLInfo(
            "broken", version, str(folder), f"OpenSTL {version} in {folder} cannot be imported: {_why(error)}"
        )
    commit = _commit()
    return OpenSTLInfo("real", f"{version} ({commit[:7]})" if commit else version, str(folder))


def load() -> SimpleNamespace:
    """OpenSTL's names, with every fix applied; what ``openstl_svq.host`` hands out.

    Raises:
        ImportError: OpenSTL, or something that it imports, is missing.
    """
    _import()
    from openstl.core import get_optim_scheduler, metric
    from openstl.datasets import dataset_parameters
    from openstl.methods import TAU, SimVP, method_maps
    from openstl.methods.base_method import Base_method
    from openstl.models import SimVP_Model
    from openstl.utils import create_parser
    from openstl.version import __version__

    from ..data.registry import follow
    from .openstl_data import load_data

    if __version__ not in TESTED_VERSIONS:
        warnings.warn(
            f"OpenSTL {__version__} has not been tested with this package (tested: "
            f"{', '.join(TESTED_VERSIONS)}, commit {COMMIT[:7]}); it may work. For the tested one: {INSTALL}",
            stacklevel=2,
        )
    return SimpleNamespace(
        LOADER_KEYS=LOADER_KEYS,
        METHOD_KEYS=METHOD_KEYS,
        Base_method=Base_method,
        SimVP=SimVP,
        SimVP_Model=SimVP_Model,
        TAU=TAU,
        create_parser=create_parser,
        dataset_parameters=follow(dataset_parameters),
        example_input=example_input,
        get_optim_scheduler=get_optim_scheduler,
        load_data=load_data,
        method_maps=method_maps,
        metric=metric,
    )


def _import() -> None:
    from . import fixes

    with warnings.catch_warnings():  # one of OpenSTL's modules silences all warnings of the process
        fixes.apply()
        importlib.import_module("openstl.api")


def _version(folder: Path) -> str:
    """Read from the file: importing the package would need what may be missing."""
    file = folder / "version.py"
    source = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(r"""__version__\s*=\s*['"](\d[^'"]*)['"]""", source)
    return found[1] if found else "0"


def _distribution_version() -> str | None:
    try:
        return importlib.metadata.version("openstl")
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit that pip installed, which it records for packages from git."""
    try:
        record = importlib.metadata.distribution("openstl").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    found = re.search(r'"commit_id":\s*"([0-9a-f]+)"', record or "")
    return found[1] if found else None


# Modules whose package has another name.
_PACKAGES = {
    "cv2": "opencv-python",
    "pywt": "PyWavelets",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "netCDF4": "netcdf4",
    "pytorch_lightning": "pytorch-lightning",
}


def _why(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    module = error.name.partition(".")[0]
    if module == "openstl":
        return f"its module {error.name} is missing; install it again with {INSTALL}"
    missing = sorted({_PACKAGES.get(module, module), *_unmet_requirements()})
    return f"no module named {module!r}; it lacks: pip install {' '.join(missing)}"


def _unmet_requirements() -> list[str]:
    """Names of what the installed OpenSTL requires and is not installed."""
    from packaging.requirements import Requirement

    unmet = []
    try:
        lines = importlib.metadata.requires("openstl") or []
    except importlib.metadata.PackageNotFoundError:
        return unmet
    for requirement in map(Requirement, lines):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            unmet.append(requirement.name)
    return unmet


# --- what a method needs ----------------------------------------------------------------------------------------------


class _Captured(Exception):
    """Ends a forward pass once its model's inputs are known."""


def example_input(args: Namespace, method: nn.Module) -> tuple[torch.Tensor, ...]:
    """What ``method`` hands to its model for one sample, to count the model's cost with.

    Found by watching the method, so that it holds for any method, also one that this package does not know.

    Args:
        args: configuration with ``in_shape``, ``pre_seq_length``, ``aft_seq_length``.
        method: the built method.

    Raises:
        ValueError: the method never calls its model.
    """
    _, C, H, W = args.in_shape
    batch_x = torch.ones(1, args.pre_seq_length, C, H, W, device=method.device)
    batch_y = torch.ones(1, args.aft_seq_length, C, H, W, device=method.device)
    inputs = []

    def capture(module, values):
        inputs.append(tuple(v for v in values if isinstance(v, torch.Tensor)))  # numbers keep their defaults
        raise _Captured

    hook = method.model.register_forward_pre_hook(capture)
    try:
        # PhyDNet forecasts through another function of its model, and calls the model itself only in training.
        for step in (lambda: method(batch_x, batch_y), lambda: method.training_step((batch_x, batch_y), 0)):
            try:
                with torch.no_grad():
                    step()
            except _Captured:
                return inputs[0]
    finally:
        hook.remove()
    raise ValueError(
        f"the method {type(method).__name__} does not call its model, so its cost cannot be counted. "
        "Run with --no_display_method_info."
    )


# Configuration keys of OpenSTL's methods (its commit of March 2024) beside those of the command line and the data.
_SAMPLING = {"scheduled_sampling", "sampling_stop_iter", "sampling_start_value", "sampling_changing_rate"}
_RECURRENT = {
    *("num_hidden", "filter_size", "stride", "patch_size", "layer_norm"),
    *("reverse_scheduled_sampling", "r_sampling_step_1", "r_sampling_step_2", "r_exp_alpha"),
    *_SAMPLING,
}
_SWIN_LSTM = {"depths_downsample", "depths_upsample", "embed_dim", "num_heads", "patch_size", "window_size"}
_SIMVP = {"hid_S", "hid_T", "N_S", "N_T", "mlp_ratio", "act_inplace", "spatio_kernel_enc", "spatio_kernel_dec"}
METHOD_KEYS: dict[str, set[str]] = {
    **dict.fromkeys(("convlstm", "e3dlstm", "mim", "predrnn", "predrnnpp"), _RECURRENT),
    "predrnnv2": _RECURRENT | {"decouple_beta"},
    "mau": _SAMPLING
    | {"num_hidden", "filter_size", "stride", "patch_size", "layer_norm"}
    | {"sr_size", "tau", "cell_mode", "model_mode"},
    "phydnet": {"patch_size"},
    "mmvp": {"hid_S", "hid_T", "downsample_setting", "shuffle_setting", "use_direct_predictor"}
    | {"rrdb_encoder_num", "rrdb_decoder_num", "rrdb_enhance_num"},
    "swinlstm_d": _SWIN_LSTM,
    **dict.fromkeys(("swinlstm_b", "swinlstm"), _SWIN_LSTM | {"depths"}),
    "wast": _SIMVP | {"block_list", "cutmode", "cutoff", "drop_path_rate", "encoder_dim", "loss_weight"},
}
LOADER_KEYS = {"noise_type", "use_prefetcher"}  # that its loaders read and no dataset's entry names
