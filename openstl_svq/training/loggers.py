"""Where a run's losses go beside ``csv/``, through Lightning; nothing is sent anywhere unless the environment says so."""

import importlib.util
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from ..naming import choose


def _tensorboard(args: Namespace, folder: Path) -> Logger:
    return TensorBoardLogger(folder, name="tensorboard", version="")


def _wandb(args: Namespace, folder: Path) -> Logger:
    """Into ``wandb/`` of the run folder, for `wandb sync`; ``WANDB_MODE=online`` sends it while the run goes on."""
    (folder / "wandb").mkdir(parents=True, exist_ok=True)  # else wandb takes a folder for temporary files
    offline = os.environ.get("WANDB_MODE", "offline") != "online"
    return WandbLogger(name=args.ex_name, save_dir=folder, project=__name__.partition(".")[0], offline=offline)


def _mlflow(args: Namespace, folder: Path) -> Logger:
    """Into ``mlflow/`` of the run folder, for `mlflow ui --backend-store-uri`; or to ``MLFLOW_TRACKING_URI``."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    place = os.environ.get("MLFLOW_TRACKING_URI") or (folder / "mlflow").resolve().as_uri()
    return MLFlowLogger(experiment_name=args.dataname, run_name=args.ex_name, tracking_uri=place)


# What each needs, and how it is made. The curves of a run are drawn from its CSV, which is always there.
LOGGERS: dict[str, tuple[str | None, Callable[[Namespace, Path], Logger] | None]] = {
    "csv": (None, None),
    "tensorboard": ("tensorboard", _tensorboard),
    "wandb": ("wandb", _wandb),
    "mlflow": ("mlflow", _mlflow),
}


def check_loggers(names: list[str] | None) -> None:
    """Refuses a logger whose package is missing, before a run does anything.

    Raises:
        ImportError: how to install it.
    """
    for name in names or ():
        package, _ = LOGGERS[choose("logger", name, LOGGERS)]
        if package and importlib.util.find_spec(package) is None:
            raise ImportError(
                f"--logger {name} needs the package {package}: pip install 'openstl_svq[{name}]'. Without it, "
                "--logger csv writes the same numbers to csv/metrics.csv."
            )


def build_loggers(args: Namespace, folder: Path) -> list[Logger]:
    """CSV, and those of ``args.logger``: by default TensorBoard's files where that is installed."""
    names = args.logger
    if names is None:
        names = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    made = [build(args, folder) for name in names if (build := LOGGERS[name][1])]
    return [CSVLogger(folder, name="csv"), *made]
