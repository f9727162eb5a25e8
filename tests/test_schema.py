"""Nonsense in a configuration is refused before anything is read or built, by its key and with what is allowed."""

import pytest

from openstl_svq import config, schema

NONSENSE = {
    "batch_size": (0, -1, 2.5, True, float("nan"), "abc", [1], None),
    "epoch": (0, 1.5, "2", float("inf")),
    "num_workers": (-1, 0.5, "four"),
    "seed": (-1, 2**32, 1.5),
    "lr": (0, -1e-3, float("nan"), "high", None),
    "weight_decay": (-1, float("inf"), "none"),
    "clip_grad": (-1, float("nan"), "yes", []),
    "opt_betas": ([0.9], [2, 3], 0.9, "abc", ["a", "b"]),
    "momentum": (-0.1, 1.5),
    "decay_epoch": (0, -1, [], "abc"),
    "decay_rate": (-1, 0, "abc"),
    "noise_ratio": (-0.1, 1.1, "some"),
    "fp16": ("no", 1, None),
    "drop_last": ("no", 2),
    "gpus": ("ab", [], [-1], [0, 0], 0.5, [True], None),
    "num_nodes": (0, "two"),
    "strategy": ("dpp", 1),
    "precision": ("31", 7, []),
    "quantizer_kwargs": (False, 1, "abc", [], {1: 2}),
    "quantizer": ("", 1, None),
    "quant_position": ("middle", 1),
    "metrics": ("mse", ["mes"], [], None, 5),
    "metric_for_bestckpt": ("val_lss", 1, None),
    "opt": ("adm", 1),
    "sched": ("cosin", 1),
    "in_shape": ([12, 1, 32], 5, "abc", [12, 1, -32, 64], [12, 1, 32.5, 64]),
    "hid_S": (0, "abc", 2.5),
    "spatio_kernel_enc": (0, 2, -3),
    "protocol": ("honest", "strict+", 1, ""),
    "train_time": ("2010", ["2010"], [1.5, 2]),
    "data_root": ("", 5, None),
    "res_dir": ("", None),
    "ex_name": ("", "../out", "/tmp/out", ".", "a/../..", 5),
    "method": ("", 1, None),
    "dataname": ("", []),
    "normalise": ("abc", [], 1),
    "split": ([1, 1], "abc", [-1, 1, 1], 5),
}


@pytest.mark.parametrize("key, value", [(key, value) for key, values in NONSENSE.items() for value in values])
def test_nonsense_is_refused_by_name(key, value):
    with pytest.raises(ValueError, match=key.replace("dataname", "dataset|dataname")):
        config.resolve([], base={"method": "simvp_svq", "dataname": "custom", key: value})


@pytest.mark.parametrize(
    "key, value",
    [
        *(("num_hidden", value) for value in ([8, 0], 8, [], None)),
        *(("patch_size", value) for value in (0, "2")),
        *(("layer_norm", value) for value in (2, "no")),
        ("filter_size", 4),
        *(("sampling_stop_iter", value) for value in (-1, "abc")),
        *(("sampling_changing_rate", value) for value in (-0.1, "slow")),
        *(("r_exp_alpha", value) for value in (0, "abc")),
    ],
)
def test_nonsense_of_the_recurrent_methods(key, value):
    with pytest.raises(ValueError, match=rf"^{key}\S* must be"):
        config.resolve([], base={"method": "predrnn", key: value})


def test_every_flag_has_a_rule():
    assert not config.defaults().keys() - schema.RULES.keys()


@pytest.mark.parametrize(
    "words, message",
    [
        (["--sched", "cosine", "--epoch", "3", "--warmup_epoch", "4"], r"warmup_epoch must be at most epoch \(3\)"),
        (
            ["--cfg_options", "in_shape=[5,1,32,64]", "pre_seq_length=4"],
            "begins with 5 frames, and pre_seq_length is 4",
        ),
        (["--resume", ""], "--resume must be a run folder or a checkpoint, got ''"),
        (["-c", ""], "--config_file must be a text"),
        (["--ckpt_path", ""], "--ckpt_path must be a text"),
        (["--ex_name", "../other"], "ex_name must name a folder inside .*work_dirs"),
    ],
)
def test_what_does_not_go_together(words, message):
    with pytest.raises(ValueError, match=message):
        config.resolve(words)


def test_the_length_that_was_given_decides():
    given = config.resolve(["--cfg_options", "in_shape=[5,1,32,64]"])
    assert (given.in_shape[0], given.pre_seq_length, given.total_length) == (5, 5, 17)
    saved = vars(given)
    assert config.resolve(["--pre_seq_length", "6"], base=saved).in_shape == [6, 1, 32, 64]
    assert config.resolve(["--cfg_options", "in_shape=[7,1,32,64]"], base=saved).pre_seq_length == 7
