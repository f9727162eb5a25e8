"""Sparse-regression vector quantization (SVQ) for spatio-temporal forecasting, on OpenSTL's models and datasets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from pytorch_lightning.callbacks import Callback

    from .predict import Forecaster

__version__ = "0.1.0"


def fit(
    data: "Any",
    steps_in: "int | None" = None,
    steps_out: "int | None" = None,
    method: "str | None" = None,
    epochs: "int | None" = None,
    *,
    save_dir: "str | Path | None" = None,
    callbacks: "Sequence[Callback]" = (),
    **overrides: "Any",
) -> "Forecaster":
    """Trains a method on data in memory, as ``tools/train.py`` does on a file, and tests its best weights.

    >>> model = openstl_svq.fit(sst, steps_in=12, steps_out=3, epochs=20, mask="land")  # doctest: +SKIP
    >>> forecast = model.predict(sst)  # a DataArray, with the times of the forecast  # doctest: +SKIP
    >>> model.score(sst.sel(time="2019")), model.plot(), model.save("run")  # doctest: +SKIP

    The frames are dealt out in order of time: by default 70 % of the windows to train, 10 % to validate, 20 % to test. The
    model has the best weights by validation loss; the run's folder, what one of ``tools/train.py`` has but its pictures.

    Args:
        data: an xarray DataArray or Dataset with a dimension of time, whose variables become channels; or an array
            ``(time, lat, lon)``, ``(time, channel, lat, lon)`` or ``(series, time, channel, lat, lon)``. It is copied once.
        steps_in, steps_out: frames that a forecast is made from, and frames of a forecast (default: 12 and 3).
        method: of :func:`openstl_svq.methods.list_methods` (default: ``simvp_svq``).
        epochs: at most so many (default: 20); training stops before that where validation does not get better
            (``patience``).
        save_dir: the folder of the run. By default a temporary one that lasts as long as the model;
            :meth:`~openstl_svq.predict.Forecaster.save` keeps it.
        callbacks: of Lightning, beside the run's own.
        **overrides: any configuration key, as ``mask="land"``, ``batch_size=8``, ``split=[0.6, 0.2, 0.2]``,
            ``train_time=["1950", "2005"]``, ``lr=1e-3``, ``quantizer="vq"``, ``accelerator="cpu"``; ``config_file`` names a
            file of them, which stands below the keywords. Where nothing else is said, the network is small, frames of any
            size are padded (``pad``), and batches are loaded in this process (``num_workers=0``), so that no script needs
            ``if __name__ == "__main__"``.

    Returns:
        The trained method, as :func:`load` gives it, on the device of the training.

    Raises:
        ValueError: an unknown keyword or value; data without time, with missing values (see ``mask``), or too few for one
            window, with irregular times for instance.
        KeyboardInterrupt: Ctrl-C; ``resume=FOLDER`` goes on with what has been saved until then.
    """
    from .predict.fitting import fit as run

    return run(data, steps_in, steps_out, method, epochs, save_dir=save_dir, callbacks=callbacks, **overrides)


def load(
    path: "str | os.PathLike",
    *,
    fold: bool = False,
    plain: bool = False,
    precision: str = "32",
    allow_code: bool = False,
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
        precision: ``"32"``, or ``"bf16-mixed"`` for forecasts with products in bfloat16: on processors and GPUs with such
            instructions up to four times as fast, and some thousandths of a standard deviation away.
        allow_code: run the plug-ins that it was trained with (see :mod:`openstl_svq.plugins`): the modules and files
            that the checkpoint names, from this machine. Nothing of a checkpoint runs otherwise.

    Raises:
        FileNotFoundError: there is no such checkpoint or model.
        ConnectionError: the Hub cannot be reached.
        ImportError: a plug-in that it was trained with cannot be loaded.
        ValueError: it is damaged, unsafe to load, does not carry its configuration, or needs a plug-in that may not run;
            there is no such ``precision``.
    """
    from . import plugins
    from .acceleration import accelerate, fold_codebooks, keep_freed_memory
    from .methods import get_method
    from .naming import choose
    from .predict import Forecaster
    from .predict.export import is_export, load_export
    from .predict.forecaster import PRECISIONS
    from .predict.hub import find_model
    from .training import checkpoint, run_folder

    choose("precision", precision, PRECISIONS)
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
    method.folded, method.precision = fold or bool(state.get("folded")), precision
    if not plain:
        keep_freed_memory()
        accelerate(method)
    return method.eval()
