from ..modules.recurrent import LayeredModel
from ..modules.spatiotemporal_lstm import SpatiotemporalLSTMCell


class PredRNN_Model(LayeredModel):
    """PredRNN (Wang et al. 2017): ST-LSTM layers; see :class:`LayeredModel` for the arguments.

    The memory leaves the top layer of one step and enters the bottom layer of the next.
    """

    cell_class = SpatiotemporalLSTMCell
