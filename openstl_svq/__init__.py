"""Sparse-regression vector quantization (SVQ) for spatio-temporal forecasting, on OpenSTL's models and datasets."""

__version__ = "0.1.0"


def load(path):
    """The trained method of a checkpoint or run folder, in evaluation mode, ready to call.

    ``load(path)(x)`` maps normalised frames ``(B, pre_seq_length, C, H, W)`` to ``(B, aft_seq_length, C, H, W)``. Its
    ``hparams`` hold the configuration and the statistics (``test_mean``, ``test_std``) that data are normalised with.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is damaged, unsafe to load, or does not carry its configuration.
    """
    from . import checkpoint, registry

    file = checkpoint.locate(path)
    state = checkpoint.load(file)
    checkpoint.saved_config(state)
    registry.register()
    method = registry.extend(state["hyper_parameters"]["method"])(**state["hyper_parameters"])
    checkpoint.load_weights(method, state, f"checkpoint {file}")
    return method.eval()
