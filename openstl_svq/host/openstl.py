"""The real OpenSTL as a host: finding it, importing it with its fixes, and asking it what its methods need."""

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch

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
    from openstl.api import BaseExperiment
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
        BaseExperiment=BaseExperiment,
        Base_method=Base_method,
        SimVP=SimVP,
        SimVP_Model=SimVP_Model,
        TAU=TAU,
        create_parser=create_parser,
        dataset_parameters=follow(dataset_parameters),
        example_input=example_input,
        get_optim_scheduler=get_optim_scheduler,
        load_data=load_data,
        method_keys=method_keys,
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


def example_input(args, method) -> tuple:
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


_CONFIG_NAMES = {"args", "configs", "hparams"}  # what OpenSTL calls the configuration

# In OpenSTL's own configuration files of the recurrent methods, but read by nothing any more.
_UNREAD = {"sampling_start_value", "layer_norm"}


def method_keys(method: str) -> set[str]:
    """The configuration keys that OpenSTL's method ``method`` and its loaders read, the command line's among them.

    Found in the source of the method, of its model and of what these use: attributes and entries of the configuration,
    and the parameters of classes that are built from the whole of it.
    """
    from openstl.datasets import load_data
    from openstl.methods import method_maps

    keys = {
        node.args[0].value
        for node in ast.walk(ast.parse(inspect.getsource(load_data)))  # kwargs.get("key", ...)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "get"
    }
    seen, todo = set(), list(method_maps[method].__mro__)
    while todo:
        item = todo.pop()
        if item in seen or not str(getattr(item, "__module__", "")).startswith("openstl."):
            continue
        seen.add(item)
        names = vars(sys.modules[item.__module__])
        tree = ast.parse(textwrap.dedent(inspect.getsource(item)))
        for node in ast.walk(tree):
            keys |= _keys_read(node, names)
            used = names.get(node.id) if isinstance(node, ast.Name) else None
            if inspect.isroutine(used) or inspect.isclass(used):
                todo.append(used)
    return keys | _UNREAD if "scheduled_sampling" in keys else keys


def _keys_read(node: ast.AST, names: dict) -> set[str]:
    match node:
        case ast.Attribute(value=config, attr=key) if _is_config(config):  # configs.key, self.hparams.key
            return {key} - set(dir(dict))
        case ast.Subscript(value=config, slice=ast.Constant(value=key)) if _is_config(config):  # args["key"]
            return {key}
        case ast.Compare(left=ast.Constant(value=key), comparators=[config]) if _is_config(config):  # "key" in args
            return {key}
        case ast.Call(func=ast.Name(id=name), keywords=keywords) if inspect.isclass(names.get(name)):  # Model(**args)
            if any(k.arg is None and _is_config(k.value) for k in keywords):
                parameters = inspect.signature(names[name]).parameters.values()
                return {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    return set()


def _is_config(node: ast.AST) -> bool:
    return getattr(node, "id", getattr(node, "attr", None)) in _CONFIG_NAMES
