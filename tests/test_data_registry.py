"""Records of datasets: the registry, what is refused, and a third party's dataset from a configuration file."""

from dataclasses import replace

import numpy as np
import pytest

from openstl_svq import config
from openstl_svq.data import Dataset, get_dataset, list_datasets, load_data, make_entry, register_dataset
from openstl_svq.host import dataset_parameters
from openstl_svq.training.data_module import ForecastData

PLUGIN = """
import numpy as np

from openstl_svq.data import Dataset, Source, WindowDataset, make_entry, register_dataset
from openstl_svq.data.frames import ArrayFrames

dataname = "ramp"


def load_splits(dataset, data_root, config, /, *, protocol, use_augment):
    frames = np.arange(30.0)[:, None, None, None] * np.ones((1, 1, 8, 8))
    return [
        WindowDataset(Source(ArrayFrames(frames), "ramp"), np.arange(2 + 10 * k, 6 + 10 * k), [-1, 0], [1, 2])
        for k in range(3)
    ]


register_dataset(
    Dataset("ramp", "brightens by one a frame", make_entry([2, 1, 8, 8], 2, ["mse"]), load_splits, is_field=True)
)
"""


pytestmark = pytest.mark.usefixtures("registries")


@pytest.mark.parametrize("name", list_datasets())
def test_every_record_is_whole(name):
    record = get_dataset(name)
    assert record.name == name and record.description and "\n" not in record.description
    assert dataset_parameters[name]["in_shape"] == record.entry["in_shape"]
    assert record.entry["total_length"] == record.entry["pre_seq_length"] + record.entry["aft_seq_length"]


def test_an_unknown_name_lists_what_exists():
    with pytest.raises(ValueError, match="unknown dataset 'kht'. Did you mean 'kth'.*Available: custom, human"):
        load_data("kht", 1, 1, 0, ".")


def test_a_taken_name_names_its_owner():
    record = get_dataset("taxibj")
    with pytest.raises(ValueError, match=r"'taxibj' is taken by .*taxibj.py; .*test_data_registry.py .*override=True"):
        register_dataset(replace(record, description="another"))
    register_dataset(replace(record, description="another", entry={**record.entry, "metrics": ["mae"]}), override=True)
    assert list_datasets()["taxibj"] == "another" and dataset_parameters["taxibj"]["metrics"] == ["mae"]


def test_a_name_of_the_host_is_taken_too(monkeypatch):
    monkeypatch.setitem(dataset_parameters, "of_openstl", {"in_shape": [10, 1, 64, 64]})
    with pytest.raises(ValueError, match="'of_openstl' is taken by OpenSTL"):
        register_dataset(replace(get_dataset("taxibj"), name="of_openstl"))


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"entry": {"in_shape": [1, 1, 8, 8]}},
            "its entry lacks pre_seq_length, aft_seq_length, total_length, metrics",
        ),
        ({"entry": make_entry([4, 8, 8], 4, ["mse"])}, "in_shape must be .T, C, H, W."),
        ({"load_splits": None}, "load_splits must be a function, got None"),
        ({"makers": {"synthetic": "waves"}}, "synthetic must be a function, got 'waves'"),
        ({"differences": frozenset({"colour"})}, "unknown differences .'colour'."),
        ({"name": ""}, "its name must be a text"),
    ],
)
def test_a_record_without_what_it_needs_names_the_file(change, message):
    with pytest.raises(ValueError, match=f"test_data_registry.py: .*cannot be registered: .*{message}"):
        register_dataset(replace(get_dataset("taxibj"), **{"name": "new", **change}))
    assert "new" not in list_datasets() and "new" not in dataset_parameters


@pytest.mark.parametrize(
    "record, message",
    [
        ("Dataset('ramp', 'a ramp')", "'ramp' cannot be registered: its entry lacks in_shape"),
        ("Dataset('ramp', entry=make_entry([2, 1, 8, 8], 2, ['mse']))", "load_splits must be a function, got None"),
        ("Method('ramp')", "method 'ramp': cls must be a subclass of LightningModule, got nothing"),
    ],
)
def test_a_record_of_a_file_without_what_it_needs(record, message, tmp_path):
    kind = record.partition("(")[0]
    file = tmp_path / "own.py"
    file.write_text(
        "from openstl_svq.data import Dataset, make_entry, register_dataset\n"
        f"from openstl_svq.methods import Method, register_method\nregister_{kind.lower()}({record})\n"
    )
    with pytest.raises(ValueError, match=f"config file {file} cannot be read: .*{message}"):
        config.resolve(["-c", str(file), "-m", "simvp"])


def test_a_dataset_of_a_configuration_file(tmp_path):
    (tmp_path / "ramp.py").write_text(PLUGIN)
    for _ in range(2):  # a file may be read more than once
        args = config.resolve(["-c", str(tmp_path / "ramp.py"), "-m", "simvp"])
        assert args.dataname == "ramp" and args.in_shape == [2, 1, 8, 8]
    assert list_datasets()["ramp"] == "brightens by one a frame"
    loaders = load_data("ramp", 2, 2, 0, tmp_path)
    assert np.array_equal(loaders[2].dataset[0][1][:, 0, 0, 0], [23, 24])
    data = ForecastData(*loaders, {"dataname": "ramp", "seed": 0, "metrics": ["mse"]})
    assert data.metric_settings()["spatial_norm"]
    with pytest.raises(ValueError, match="ramp data are not in OpenSTL, so there is no protocol openstl"):
        load_data("ramp", 2, 2, 0, tmp_path, protocol="openstl")


def test_a_record_is_frozen():
    with pytest.raises(AttributeError):
        get_dataset("taxibj").name = "x"
    assert isinstance(get_dataset("taxibj"), Dataset)
