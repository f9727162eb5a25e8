"""Means over all points of a function of the error."""

from torch import nn

from . import register_loss


@register_loss("mae", "mean absolute error")
class MAE(nn.L1Loss):
    pass


@register_loss("mse", "mean squared error")
class MSE(nn.MSELoss):
    pass


@register_loss("huber", "squared error below 1, absolute error above")
class Huber(nn.SmoothL1Loss):
    pass
