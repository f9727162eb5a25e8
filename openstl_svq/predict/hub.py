"""Sharing trained models: Hugging Face's Hub, folders in its form, and the model that comes with the package."""

import os
import textwrap
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from .export import CARD, WEIGHTS, export_weights, scores_of

SCHEME = "hf://"
PACKAGED = Path(__file__).parent / "pretrained"
_LICENCE = "apache-2.0"


def find_model(name: str | os.PathLike) -> Path:
    """Where the model called ``name`` lies: a path, ``hf://user/name`` or ``hf://user/name@revision`` of the Hub, which is
    downloaded once and kept in its cache, or the name of a packaged model where no such path exists.

    Raises:
        FileNotFoundError: the Hub has no such model, or one of another kind.
        ConnectionError: the Hub cannot be reached, and the model has not been downloaded before.
        ValueError: the name is none of the Hub's.
    """
    text = str(name)
    if text.startswith(SCHEME):
        return _download(text)
    packaged = PACKAGED / text
    return (
        packaged
        if not Path(text).exists() and text and packaged.parent == PACKAGED and packaged.is_dir()
        else Path(text)
    )


def list_packaged() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(card.parent.name for card in PACKAGED.glob(f"*/{CARD}"))


def name_of(folder: Path) -> str:
    """What :func:`openstl_svq.load` finds the model in ``folder`` by: the name of a packaged one, else the path."""
    return folder.name if folder.resolve().parent == PACKAGED.resolve() else str(folder)


def _download(address: str) -> Path:
    repo, _, revision = address.removeprefix(SCHEME).partition("@")
    try:
        folder = Path(snapshot_download(repo, revision=revision or None, allow_patterns=[CARD, WEIGHTS, "README.md"]))
    except HFValidationError as error:
        raise ValueError(f"{address}: the name of a model on the Hub is {SCHEME}USER/NAME.") from error
    except (RepositoryNotFoundError, HfHubHTTPError) as error:
        raise FileNotFoundError(
            f"{address}: the Hub has no such model, or it is private ({_first_line(error)}). Look the name up at "
            f"https://huggingface.co/models; for a private one run `hf auth login` first."
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise ConnectionError(
            f"{address}: the Hub cannot be reached and the model has not been downloaded before ({_first_line(error)}). "
            f"Give a local folder, or a packaged model: {', '.join(list_packaged())}."
        ) from error
    if not (folder / CARD).is_file():
        raise FileNotFoundError(f"{address} holds no {CARD}: it is no model that push_to_hub of this package wrote.")
    return folder


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Shared(ModelHubMixin, library_name="openstl_svq", license=_LICENCE):
    """``save_pretrained`` and ``push_to_hub`` of Hugging Face's mixin, for a loaded model.

    The folder holds ``model.safetensors``, ``card.json`` (configuration, statistics, grid, scores) and ``README.md``, the
    card that people read. :func:`openstl_svq.load` takes the folder, and ``hf://USER/NAME`` once it is on the Hub.
    """

    hparams: Any
    _keep_codebook = False

    def save_pretrained(self, save_directory: str | os.PathLike, *, keep_codebook: bool = False, **settings: Any):
        """Writes the folder.

        Args:
            keep_codebook: keep SVQ's codebook, for looking at codes; by default it is folded away, for the same forecasts.
            settings: the mixin's, as ``push_to_hub`` and ``model_card_kwargs={"licence": ..., "intended_use": ..., "made_with": ...}``.
        """
        self._keep_codebook, self._hub_mixin_config = keep_codebook or self._keep_codebook, None  # card.json has it
        try:
            return super().save_pretrained(save_directory, **settings)
        finally:
            self._keep_codebook = False

    def push_to_hub(self, repo_id: str, *, keep_codebook: bool = False, **settings):
        """Uploads the folder of :meth:`save_pretrained` to ``repo_id``, ``USER/NAME``; needs `hf auth login`."""
        self._keep_codebook = keep_codebook
        card = {"name": f"{SCHEME}{repo_id}", **(settings.pop("model_card_kwargs", None) or {})}
        return super().push_to_hub(repo_id, model_card_kwargs=card, **settings)

    def _save_pretrained(self, save_directory: Path) -> None:
        export_weights(self, Path(save_directory), fold=not self._keep_codebook)  # type: ignore[arg-type]

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None = None, **_):
        from .. import load

        local = Path(model_id).exists()
        return load(model_id if local else f"{SCHEME}{model_id}{f'@{revision}' if revision else ''}")

    def generate_model_card(
        self,
        *,
        name: str = f"{SCHEME}USER/NAME",
        licence: str = _LICENCE,
        intended_use: str | None = None,
        made_with: str | None = None,
        **_,
    ) -> ModelCard:
        """The card that people read: data, scores, intended use, licence, and how ``name`` is loaded.

        Args:
            made_with: the commands that made it, a line each.
        """
        config, trained_on = self.hparams, self.hparams.get("trained_on") or {}
        record = scores_of(self)
        head = ModelCardData(
            license=licence, library_name="openstl_svq", tags=["spatio-temporal-forecasting", str(config.method)]
        )
        sections = {
            f"{config.method} on {config.dataname}": _USE.format(
                name=name,
                frames_in=config.pre_seq_length,
                frames_out=config.aft_seq_length,
                shape=" x ".join(map(str, config.in_shape[1:])),
            ),
            "Data": _data(config, trained_on),
            "Scores": _scores(record),
            **({"How it was made": textwrap.indent(made_with.strip(), "    ")} if made_with else {}),
            "Intended use": intended_use or _INTENDED,
            "Licence": f"Weights: {licence}. The data that it was trained on have a licence of their own.",
        }
        (title, first), *others = sections.items()
        text = f"# {title}\n\n{first}\n" + "".join(f"\n## {name}\n\n{body}\n" for name, body in others)
        return ModelCard(f"---\n{head.to_yaml()}\n---\n\n{text}")


_USE = """\
Forecasts {frames_out} frames of {shape} (channels, height, width) from the {frames_in} before, in the unit of the training data.

```python
import openstl_svq

model = openstl_svq.load("{name}")
forecast = model.predict(frames)  # ({frames_in}, ...) -> ({frames_out}, ...)
```"""
_INTENDED = (
    "Research on spatio-temporal forecasting, on data like those trained on: the same variables, units, grid and time step. "
    "It is no forecast to act upon. Other data are refused where they can be told apart, and are not scored where they cannot."
)


def _data(config, trained_on: dict) -> str:
    lines = {
        "dataset": config.dataname,
        "variables": _text(config.get("data_name")),
        "unit": _text(trained_on.get("units")),
        "training period": _text(config.get("train_time"), " to "),
        "test period": _text(config.get("test_time"), " to "),
        "time step": f"{trained_on['interval_minutes'] / 60:g} h" if trained_on.get("interval_minutes") else None,
        "grid": f"{len(trained_on['lat'])} x {len(trained_on['lon'])} points of latitude and longitude"
        if trained_on.get("lat") and trained_on.get("lon")
        else None,
        "protocol": config.get("protocol"),
    }
    return "\n".join(f"- {name}: {value}" for name, value in lines.items() if value)


def _text(value, between: str = ", ") -> str | None:
    return between.join(map(str, value)) if isinstance(value, (list, tuple)) else value and str(value)


def _scores(record: dict | None) -> str:
    if not record:
        return "None are known: the model was shared from a checkpoint without the `metrics.json` of a test."
    table = {
        forecast: {k: v for k, v in scores.items() if isinstance(v, (int, float))}
        for forecast, scores in record["scores"].items()
    }
    names = list(dict.fromkeys(name for scores in table.values() for name in scores))[:12]
    rows = ["| forecast | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    rows += [
        f"| {forecast} | " + " | ".join(f"{v[n]:.5g}" if n in v else "" for n in names) + " |"
        for forecast, v in table.items()
    ]
    made = ", ".join(f"{k} {v}" for k, v in record.get("provenance", {}).items() if k in _SHOWN and v is not None)
    return "\n".join(["On the test split, over all lead times:", "", *rows, *(["", made] if made else [])])


_SHOWN = ("date", "protocol", "seed", "epochs", "openstl_svq", "torch")
