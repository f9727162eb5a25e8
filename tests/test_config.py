"""Precedence and validation of configurations."""

import warnings

import pytest

from openstl_svq import config
from openstl_svq.config_file import load_config

FILE = """
method = "SimVP_SVQ"
lr = 5e-3
batch_size = 32
drop_path = 0.2
quantizer_kwargs = dict(codebook_size=100, hidden_dim=8)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.py"
    path.write_text(FILE)
    return str(path)


def resolve(*words):
    return config.resolve(list(words))


def test_file_beats_default_even_where_the_flag_has_one(file):
    args = resolve("-c", file)
    assert (args.batch_size, args.lr, args.drop_path, args.method) == (32, 5e-3, 0.2, "simvp_svq")


@pytest.mark.parametrize(
    "words, key, value",
    [
        (["--batch_size", "16"], "batch_size", 16),  # equal to the default, but typed
        (["--drop_path", "0.0"], "drop_path", 0.0),
        (["--seed", "0"], "seed", 0),
        (["-m", "simvp"], "method", "simvp"),
        (["--cfg_options", "lr=1e-2"], "lr", 1e-2),
        (["--cfg_options", "train_time=['2019-03-01','2019-03-23']"], "train_time", ["2019-03-01", "2019-03-23"]),
    ],
)
def test_command_line_beats_file(file, words, key, value):
    assert getattr(resolve("-c", file, *words), key) == value


def test_overwrite_lets_the_file_win(file):
    args = resolve("-c", file, "--overwrite", "--batch_size", "8", "--epoch", "3", "--cfg_options", "lr=1")
    assert (args.batch_size, args.lr, args.epoch) == (32, 5e-3, 3)


def test_dictionaries_are_set_key_by_key(file):
    args = resolve("-c", file, "--cfg_options", "quantizer_kwargs.codebook_size=7")
    assert args.quantizer_kwargs == {"codebook_size": 7, "hidden_dim": 8}


def test_arguments_of_another_quantizer_are_not_kept(file):
    with pytest.warns(UserWarning, match="vq in place of svq, whose settings are dropped: quantizer_kwargs={.*100.*}"):
        assert resolve("-c", file, "--quantizer", "vq").quantizer_kwargs == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve("-c", file, "--quantizer", "svq").quantizer_kwargs == {"codebook_size": 100, "hidden_dim": 8}
        assert resolve("-m", "simvp_svq", "--quantizer", "vq").quantizer_kwargs == {}


def test_loss_follows_the_method(file):
    assert resolve("-c", file).loss == "mae"
    assert resolve("-c", file, "-m", "simvp").loss == "mse"
    assert resolve("-c", file, "-m", "simvp", "--loss", "huber").loss == "huber"


def test_input_length_changes_the_model_and_the_windows():
    args = resolve("-d", "weather_t2m_5_625", "--pre_seq_length", "6")
    assert (args.in_shape[0], args.pre_seq_length, args.total_length) == (6, 6, 18)


def test_inherited_files(tmp_path):
    (tmp_path / "base.py").write_text("lr = 1\nquantizer_kwargs = {'a': 1, 'b': 2}\nepoch = 9\n")
    (tmp_path / "sub").mkdir()
    child = tmp_path / "sub" / "child.py"
    child.write_text("_base_ = '../base.py'\n_delete_ = ['epoch']\nquantizer_kwargs = {'b': 3}\n")
    assert load_config(child) == {"lr": 1, "quantizer_kwargs": {"a": 1, "b": 3}}


def test_what_is_saved_reads_back_the_same(file, tmp_path):
    args = vars(resolve("-c", file, "--clip_grad", "0.5"))
    saved = tmp_path / "saved.py"
    saved.write_text(config.dump(args, "a comment\nof two lines"))
    assert load_config(saved) == args


@pytest.mark.parametrize(
    "words, message",
    [
        (["--cfg_options", "batch_sise=3"], "unknown configuration key 'batch_sise'.*Did you mean 'batch_size'"),
        (["--cfg_options", "hid_s=3"], "Did you mean 'hid_S'"),
        (["--cfg_options", "lr"], "KEY=VALUE"),
        (["-m", "simvp_svg"], "unknown method 'simvp_svg'.*Did you mean 'simvp_svq'"),
        (["-d", "weather_t2m"], "unknown dataset 'weather_t2m'.*Available: .*weather_t2m_5_625"),
        (["--quant_position", "middle"], "unknown quant_position 'middle'.*after, before, none"),
        (["--loss", "l1"], "unknown loss 'l1'"),
        (["--protocol", "honest"], "unknown protocol"),
        (["--batch_size", "0"], "batch_size must be a number above 0, got 0"),
        (["--epoch", "-1"], "epoch must be a number above 0"),
        (["--cfg_options", "batch_size='a'"], "batch_size must be a number above 0, got 'a'"),
        (["--cfg_options", "epoch=1.5"], "whole number"),
        (["--noise_ratio", "1.5"], "noise_ratio must be a number from 0 to 1"),
        (["--fp16", "--precision", "64"], "--fp16 means"),
        (["--accelerator", "tpu"], "unknown accelerator"),
    ],
)
def test_bad_values(words, message):
    with pytest.raises(ValueError, match=message):
        resolve("-m", "simvp_svq", *words)


def test_missing_file_lists_its_neighbours(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothere.py does not exist.*file.py"):
        resolve("-c", str(tmp_path / "nothere.py"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("lr = = 3", "line 1.*cannot be read: SyntaxError"),
        ("lr = 1 / 0", "ZeroDivisionError"),
        ("_base_ = 'loop.py'", "inherits from itself"),
        ("_base_ = 'gone.py'", "gone.py does not exist .*inherited by"),
    ],
)
def test_broken_files(tmp_path, text, message):
    path = tmp_path / "loop.py"
    path.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_config(path)


def test_values_that_could_not_be_saved_are_refused(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("import numpy\nlr = numpy.ones(3)\n")
    with pytest.raises(ValueError, match="'lr' must be a plain value|lr must be a number"):
        resolve("-c", str(path), "--allow_code")


@pytest.mark.parametrize(
    "text, line",
    [
        ("import os\nlr = 1e-3\n", "line 1: 'import os'"),
        ("lr = 1e-3\nprint('run')\n", "line 2: \"print\\('run'\\)\""),
        ("lr = float('1e-3')\n", "line 1: .lr = float"),
        ("lr = [v for v in (1,)][0]\n", "line 1"),
        ("lr = (1).real\n", "line 1"),
        ("import sys\nsys.exit()\n", "line 1"),
    ],
)
def test_code_in_a_file_runs_only_where_it_is_allowed(tmp_path, capsys, text, line):
    path = tmp_path / "file.py"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=f"file.py, {line}.*is no plain value but code, which is not run.*--allow_code"
    ):
        resolve("-c", str(path))
    child = tmp_path / "child.py"
    child.write_text("_base_ = 'file.py'\n")
    with pytest.raises(ValueError, match="file.py.*is not run"):
        load_config(child, "plugins")
    assert not capsys.readouterr().out


def test_a_file_that_ends_the_program_is_an_error(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("import sys\nsys.exit()\n")
    with pytest.raises(ValueError, match="file.py cannot be read: SystemExit"):
        resolve("-c", str(path), "--allow_code")


def test_leave_to_run_code_is_not_taken_from_a_file(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("allow_code = True\n")
    with pytest.raises(ValueError, match="unknown configuration key 'allow_code'"):
        resolve("-c", str(path))


def test_plain_values(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("'what it is for'\nn = 2\na = b = dict(x=[1, (2, n)], y={'z': -1.5})\nlr = 1e-3 * n / 4 - 0.0\n")
    assert load_config(path) == {
        "n": 2,
        "a": {"x": [1, (2, 2)], "y": {"z": -1.5}},
        "b": {"x": [1, (2, 2)], "y": {"z": -1.5}},
        "lr": 5e-4,
    }


@pytest.mark.parametrize(
    "words, accelerator, gpus",
    [
        (["--device", "cuda"], "gpu", [0]),
        (["--device", "cuda:1"], "gpu", [1]),
        (["--device", "cpu"], "cpu", [0]),
        (["--device", "cuda:1", "--gpus", "2", "3"], "gpu", [2, 3]),
        (["--device", "cuda", "--accelerator", "cpu"], "cpu", [0]),
        ([], "auto", [0]),
    ],
)
def test_a_device_that_is_typed_is_meant(words, accelerator, gpus):
    args = resolve(*words)
    assert (args.accelerator, args.gpus) == (accelerator, gpus)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--device", "cuda:x"], "cuda:NUMBER"),
        (["--device", "tpu"], "unknown accelerator 'tpu'"),
        (["-e", "2", "--log_step", "3"], r"log_step must be at most epoch \(2\)"),
        (["--total_length", "30"], "total_length is pre_seq_length"),
        (["-m", "simvp", "--quantizer", "vq"], "quantizer has no effect on the method 'simvp'"),
    ],
)
def test_flags_that_would_do_nothing(words, message):
    with pytest.raises(ValueError, match=message):
        resolve(*words)


def test_settings_typed_together_belong_together():
    options = ["quantizer_kwargs.codebook_size=64", "quantizer=vq"]
    for words in (options, options[::-1]):
        assert resolve("-m", "simvp_svq", "--cfg_options", *words).quantizer_kwargs == {"codebook_size": 64}
    assert resolve(
        "-m", "simvp_svq", "--quantizer_kwargs", "{'codebook_size': 64}", "--cfg_options", "quantizer=vq"
    ).quantizer_kwargs == {"codebook_size": 64}
    nested = resolve("--cfg_options", "quantizer_kwargs.a.b=1", "quantizer_kwargs.a.c=2").quantizer_kwargs
    assert nested == {"a": {"b": 1, "c": 2}}


def test_another_dataset_takes_its_own_entry(tmp_path):
    saved = vars(resolve("-d", "weather_t2m_5_625", "--cfg_options", "hid_S=8"))
    other = config.resolve(["-d", "weather_uv10_5_625"], base=saved)
    assert (other.data_name, other.in_shape[1], other.hid_S) == ("uv10", 2, 8)
    file = tmp_path / "config.py"
    file.write_text(config.dump(saved))
    assert resolve("-c", str(file), "-d", "weather_uv10_5_625").data_name == "uv10"
    assert resolve("-c", str(file)).data_name == "t2m"


def test_another_quantizer_leaves_the_files_options_of_svq_behind(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        'method = "simvp_svq"\nquantizer_lr = "width"\nfold_clip = 0.1\nquantizer_kwargs = dict(init_scale="1/N")\n'
    )
    words = ["-d", "weather_sample", "-c", str(file)]
    kept, left, typed = (
        resolve(*words, *more) for more in ([], ["--quantizer", "mlp"], ["--quantizer", "vq", "--quantizer_lr", "0.5"])
    )
    assert (kept.quantizer_lr, kept.fold_clip, kept.quantizer_kwargs) == ("width", 0.1, {"init_scale": "1/N"})
    assert (left.quantizer_lr, left.fold_clip, left.quantizer_kwargs) == (1.0, None, {})
    assert typed.quantizer_lr == 0.5


def test_several_names_at_once_are_plain_values(tmp_path):
    """As in the documentation's configuration of own data."""
    (tmp_path / "a.py").write_text("pre_seq_length, aft_seq_length = 12, 3\n(lr, [hid_S, hid_T]) = 0.1, (4, 8)\n")
    assert load_config(tmp_path / "a.py") == {
        "pre_seq_length": 12,
        "aft_seq_length": 3,
        "lr": 0.1,
        "hid_S": 4,
        "hid_T": 8,
    }
    (tmp_path / "b.py").write_text("a, b = 1, 2, 3\n")
    with pytest.raises(ValueError, match="b.py.*2 names for 3 values"):
        load_config(tmp_path / "b.py")
