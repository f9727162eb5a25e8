"""Sparse-regression vector quantization (SVQ) for spatio-temporal forecasting, on OpenSTL's models and datasets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from .predict import Forecaster

__version__ = "0.1.0"


def load(
    path: "str | os.PathLike", *, fold: bool = False, plain: bool = False, allow_code: bool = False
) -> "Forecaster":
    """The trained method of a checkpoint, run folder or export, on the CPU, in evaluation mode, ready to call.

    >>> model = openstl_svq.load("work_dirs/run")  # doctest: +SKIP
    >>> y = model(x)  # normalised: (B, pre_seq_length, C, H, W) -> (B, aft_seq_length, C, H, W)  # doctest: +SKIP
    >>> forecast = model.predict(frames)  # arrays or tensors in the data's own unit  # doctest: +SKIP

    Neither the dataset nor the device of the training is needed. ``model.predict`` is
    :meth:`openstl_svq.predict.Forecaster.predict`; ``model.hparams`` hold the configuration and the statistics
    (``test_mean``, ``test_std``) that data are normalised with.

    Args:
        path: a checkpoint, the folder of a run, weights that ``tools/export.py`` or ``push_to_hub`` wrote
            (``model.safetensors`` or its folder), ``hf://USER/NAME`` for those on Hugging Face's Hub, or
            ``"weather_sample"``, the small model that comes with the package.
        fold: fold the codebook away: the same forecasts, without the codes. Exported weights may be folded already.
        plain: torch's own layers and memory format in place of the faster ones of ``openstl_svq.acceleration``, and the
            C library's own way with freed memory, of which the process otherwise keeps up to 2 GiB.
        allow_code: run the plug-ins that it was trained with (see :mod:`openstl_svq.plugins`): the modules and files
            that the checkpoint names, from this machine. Nothing of a checkpoint runs otherwise.

    Raises:
        FileNotFoundError: there is no such checkpoint or model.
        ConnectionError: the Hub cannot be reached.
        ImportError: a plug-in that it was trained with cannot be loaded.
        ValueError: it is damaged, unsafe to load, does not carry its configuration, or needs a plug-in that may not run.
    """
    from . import plugins
    from .acceleration import accelerate, fold_codebooks, keep_freed_memory
    from .methods import get_method
    from .predict import Forecaster
    from .predict.export import is_export, load_export
    from .predict.hub import find_model
    from .training import checkpoint, run_folder

    path = find_model(path)
    if is_export(path):
        file, state = load_export(path)
    else:
        file = run_folder.locate(path)
        state = checkpoint.load(file)
        checkpoint.saved_config(state)
        state["hyper_parameters"]["save_dir"] = str(run_folder.run_folder(file))  # it may have been moved
    plugins.load_installed()
    plugins.load(state["hyper_parameters"].get("plugins", []), trusted=None if allow_code else [])
    method_class = get_method(state["hyper_parameters"]["method"]).cls
    method_class = type(method_class.__name__, (Forecaster, method_class), {"__doc__": method_class.__doc__})
    method = method_class(**state["hyper_parameters"])
    if state.get("folded"):
        fold_codebooks(method)
    checkpoint.load_weights(method, state, f"checkpoint {file}")
    if fold:
        fold_codebooks(method)
    if not plain:
        keep_freed_memory()
        accelerate(method)
    return method.eval()
