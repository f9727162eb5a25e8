"""What a metric is: one class, which says what it sums over the test set and what score the sums make."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, TypeVar

from torch import Tensor

from ..naming import Registry

NORMALISED = "normalised"  # ends the name of a score over values in deviations


@dataclass
class Block:
    """Some samples on one device. What several metrics need of them is computed once, if at all.

    Attributes:
        pred, true: ``(B, T, C, H, W)``, normalised.
        mean, std: float64, broadcastable to them; ``x * std + mean`` has the data's units.
        rescaled: whether that changes anything.
        clip_range: bounds of what images may hold.
        valid: points that are scored, float64 ``(C, H, W)`` of ones and zeros; ``None`` for all. At the others all forecasts
            and the truth are 0.
        given: what only some metrics need, by its name in :attr:`ForecastMetric.needs`.
    """

    pred: Tensor
    true: Tensor
    mean: Tensor
    std: Tensor
    rescaled: bool
    clip_range: tuple[float, float]
    given: Mapping[str, Tensor] = field(default_factory=dict)
    valid: Tensor | None = None

    def mean_over_points(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the points that are scored, of values that are 0 at the others: ``(B, T, C, H, W) -> (B, T, C)``.

        Args:
            weights: of the points, broadcastable to a frame.
        """
        values = values if weights is None else weights * values
        if self.valid is None:
            return values.mean((-2, -1))
        share = self.valid if weights is None else weights * self.valid
        return values.sum((-2, -1)) / share.sum((-2, -1))

    def mean_over_frame(self, values: Tensor) -> Tensor:
        """Mean over channels too: ``(B, T, C, H, W) -> (B, T)``."""
        if self.valid is None:
            return values.mean((-3, -2, -1))
        return (self.valid * values).sum((-3, -2, -1)) / self.valid.sum()

    @property
    def weights(self) -> Tensor:
        """Areas of the rows, float64 ``(H, 1)`` with mean 1, for a metric that needs ``"lat"``."""
        return self.given["lat"]

    @property
    def climatology(self) -> Tensor:
        """Normalised, ``(B, T, C, H, W)``, for a metric that needs ``"climatology"``."""
        return self.given["climatology"]

    @cached_property
    def error(self) -> Tensor:
        """pred - true in the data's units, float64 ``(B, T, C, H, W)``."""
        return (self.pred.double() - self.true.double()) * self.std

    @cached_property
    def squared_error(self) -> Tensor:
        return self.error.square()

    @cached_property
    def true_image(self) -> Tensor:
        """The truth in the data's units."""
        return self._in_units(self.true)

    @cached_property
    def pred_image(self) -> Tensor:
        """The prediction in the data's units, cut to ``clip_range``."""
        return self._in_units(self.pred).clamp(*self.clip_range)

    def _in_units(self, x: Tensor) -> Tensor:
        # Physical units want float64; images that are in [0, 1] already are exact enough, and faster, as they are.
        return x.double() * self.std + self.mean if self.rescaled else x

    @cached_property
    def image_noise(self) -> Tensor:
        """Mean square of the images' error, float64 ``(B, T)``."""
        return self.mean_over_frame((self.pred_image.double() - self.true_image.double()).square())


class ForecastMetric:
    """A score of forecasts: a statistic of each sample, its mean over all samples, and the equation on that mean.

    :class:`~openstl_svq.metrics.ForecastMetrics` keeps the sum of the statistic, adds the sums of all processes, and
    asks :meth:`score` for the value over all lead times and for each.

    Attributes:
        unit: of its own, as in ``"dB"``.
        unit_power: power of the data's unit that it has, 0 for none.
        lower_is_better: whether a perfect forecast has the lowest score.
        headline: whether the tables of a sweep show it unless told otherwise.
        rank: its place among the scores of a run; OpenSTL's have the first, in OpenSTL's order.
        needs: of ``"lat"``, the latitudes of the rows, and ``"climatology"``, those that it cannot do without. A field
            on a grid is scored by all metrics that need latitudes, whether its dataset's entry names them or not.
        skill: name of the skill score ``1 - score / score of a reference forecast`` that is reported beside it.
        maskable: whether it can leave points out (see :class:`Block`): a metric that looks at neighbourhoods cannot.
        spatial_norm: whether sums over the frame are to be means (an argument of ``ForecastMetrics``).
    """

    unit: ClassVar[str] = ""
    unit_power: ClassVar[int] = 0
    lower_is_better: ClassVar[bool] = True
    headline: ClassVar[bool] = False
    rank: ClassVar[int] = 100
    needs: ClassVar[frozenset[str]] = frozenset()
    skill: ClassVar[str] = ""
    maskable: ClassVar[bool] = False

    def __init__(self, spatial_norm: bool = False):
        self.spatial_norm = spatial_norm

    def statistic(self, block: Block) -> Tensor:
        """What is summed over samples: ``(B, T, C)`` of a metric of fields, ``(B, T)`` of a metric of images.

        A further axis of length 2 or more may hold several sums, of which :meth:`score` makes one value.

        Raises:
            ValueError: frames that the metric cannot take.
            Unavailable: it cannot be computed here.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must say what it sums, in statistic()")

    def score(self, mean: Tensor) -> Tensor:
        """The score over some lead times and channels, from the statistic's mean over samples.

        Args:
            mean: float64 ``(N, T, C)`` of a metric of fields, ``(N, T)`` of a metric of images, with the further axis
                where there is one; N groups of channels or single lead times.

        Returns:
            ``(N,)``.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must say what its sums make, in score()")


class FieldMetric(ForecastMetric):
    """A score of values in the data's units. It comes for each group of channels, and the mean over groups is its value."""


class ImageMetric(ForecastMetric):
    """A score of whole frames: the prediction cut to ``clip_range`` against the truth. The mean over frames."""

    lower_is_better = False

    def score(self, mean: Tensor) -> Tensor:
        return mean.mean(-1)


class Unavailable(Exception):
    """A metric cannot be computed here; the message says what to install, or which file to put where."""


M = TypeVar("M", bound=type)

METRICS: Registry[type[ForecastMetric]] = Registry("metric", __package__)


def register_metric(name: str, description: str, *, override: bool = False) -> Callable[[M], M]:
    """Class decorator that makes a :class:`FieldMetric` or an :class:`ImageMetric` available by name.

    Args:
        name: letters and digits; scores are called ``NAME``, ``NAME_CHANNEL`` and ``NAME_by_lead``.
        description: one line for :func:`list_metrics`.
        override: replace a metric of the same name on purpose.

    Raises:
        ValueError: the name is taken or has other characters, or the class is no metric.

    Example::

        @register_metric("bias", "mean error")
        class Bias(FieldMetric):
            unit_power = 1

            def statistic(self, block):
                return block.error.mean((-2, -1))  # (B, T, C)

            def score(self, mean):
                return mean.mean((-2, -1))
    """

    def register(cls: M) -> M:
        if not name.isalnum():
            raise ValueError(
                f"the name of a metric is made of letters and digits, since _ parts it from a channel's; got {name!r}."
            )
        if not (isinstance(cls, type) and issubclass(cls, (FieldMetric, ImageMetric))):
            raise ValueError(f"{cls!r} cannot be registered as {name!r}: derive it from FieldMetric or ImageMetric.")
        return METRICS.register(name, description, override=override)(cls)

    return register


def list_metrics() -> dict[str, str]:
    """Name -> one-line description of every registered metric, in the order of a run's scores."""
    return dict(sorted(METRICS.descriptions().items(), key=lambda entry: METRICS[entry[0]].rank))


def headline_metrics(scores: Collection[str] | None = None) -> list[str]:
    """The metrics that a table of many runs shows unless told otherwise.

    Args:
        scores: by name, those that there are: of each metric the one over all channels is taken, or, where channels of
            unlike units have none, the one over normalised values (``mse_normalised``).
    """
    names = [name for name in list_metrics() if METRICS[name].headline]
    if scores is None:
        return names
    return [score for name in names for score in (name, f"{name}_{NORMALISED}") if score in scores]


def field_metrics() -> list[str]:
    """The metrics that score every field on a grid of known latitudes."""
    return [name for name in list_metrics() if "lat" in METRICS[name].needs]


def lower_is_better(score: str) -> bool:
    """Whether less of a score is better: of a metric as it says, of a skill score not."""
    metric = find_metric(score)
    return score.partition("_")[0] not in {METRICS[name].skill for name in METRICS} and (
        metric is None or metric.lower_is_better
    )


def find_metric(score: str) -> type[ForecastMetric] | None:
    """The metric that a score is of, ``mse_u_by_lead`` of mse; None where it is of no metric."""
    return METRICS.get(score.partition("_")[0])
