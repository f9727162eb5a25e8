"""Records of methods: one per name, in the host's registry too."""

import pytest
import torch
from torch import nn

from openstl_svq import config
from openstl_svq.host import Base_method, method_maps
from openstl_svq.methods import ForecastMethod, Method, all_methods, get_method, list_methods, register_method

pytestmark = pytest.mark.usefixtures("registries")


class Scale(nn.Module):
    def __init__(self, in_shape, factor=1.0, *, offset=0.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, x):
        return x * self.factor


class Scaling(Base_method):
    model_class = Scale
    config_keys = ()

    def _build_model(self, factor=1.0, **args):
        return Scale(None, factor)

    def forward(self, batch_x, batch_y=None, **kwargs):
        return self.model(batch_x)

    def training_step(self, batch, batch_idx):
        return self.criterion(self(batch[0]), batch[1])


def test_every_method_has_a_record_and_stands_in_the_host():
    found = all_methods()
    assert {"simvp", "tau", "simvp_svq", "tau_svq"} <= set(found) == set(method_maps)
    for name, method in found.items():
        assert method_maps[name] is method.cls and issubclass(method.cls, ForecastMethod)
    assert [name for name, method in found.items() if method.quantized] == ["simvp_svq", "tau_svq"]
    assert list_methods()["simvp_svq"].startswith("SimVP with a quantizer")


def test_a_record_is_all_that_a_method_needs():
    def check(config):
        if config["factor"] > 2:
            raise ValueError("factor must be 2 or less")

    keys = {"note"}
    register_method(Method("scaling", Scaling, Scale, defaults={"loss": "mae"}, config_keys=keys, check=check))
    with pytest.raises(ValueError, match="unknown configuration key 'facto'.*Did you mean 'factor'"):
        config.resolve(["-m", "scaling", "--cfg_options", "facto=2"])
    with pytest.raises(ValueError, match="factor must be 2 or less"):
        config.resolve(["-m", "scaling", "--cfg_options", "factor=3"])
    with pytest.raises(
        ValueError, match="quantizer has no effect on the method 'scaling'; use one of simvp_svq, tau_svq"
    ):
        config.resolve(["-m", "scaling", "--quantizer", "vq", "--cfg_options", "factor=1"])
    args = config.resolve(["-m", "Scaling", "--cfg_options", "factor=2", "note='x'", "offset=1"])
    assert (args.method, args.loss, args.factor, args.note) == ("scaling", "mae", 2, "x")
    assert get_method("scaling").cls(**vars(args)).model.factor == 2


def test_unknown_names_list_those_that_exist():
    with pytest.raises(
        ValueError, match=r"unknown method 'simvp_svk'. Did you mean 'simvp_svq'\? Available: .*tau_svq"
    ):
        get_method("simvp_svk")


def test_a_taken_name_names_its_owner():
    with pytest.raises(ValueError, match="'simvp_svq' is taken by openstl_svq.methods.simvp_svq.SimVP_SVQ.*override"):
        register_method(Method("simvp_svq", Scaling))
    register_method(Method("simvp_svq", Scaling), override=True)
    assert issubclass(get_method("simvp_svq").cls, Scaling) and method_maps["simvp_svq"] is get_method("simvp_svq").cls


def test_the_same_class_may_be_registered_again():
    for factor in (1, 2):  # a configuration file that is read twice
        register_method(Method("scaling", Scaling, Scale, defaults={"factor": factor}))
    assert get_method("scaling").defaults == {"factor": 2}


def test_what_stands_in_the_host_alone_gets_a_record(monkeypatch):
    method_maps["scaling"] = Scaling
    record = get_method("scaling")
    assert issubclass(record.cls, (ForecastMethod, Scaling)) and record.model_cls is Scale
    assert {"factor", "offset"} <= record.keys
    method_maps["scaling"] = Scaling
    with pytest.raises(ValueError, match="'scaling' is taken by .*test_registry.Scaling .* in the host's method_maps"):
        list_methods()


def test_keys_that_are_not_known_pass_with_a_warning():
    register_method(Method("scaling", Scaling, config_keys=None))
    with pytest.warns(
        UserWarning, match="'factor' is passed on unchecked: the keys of the method 'scaling' are not known"
    ):
        args = config.resolve(["-m", "scaling", "--cfg_options", "factor=2"])
    assert args.factor == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("mine", Scale), "method 'mine': cls must be a subclass of LightningModule"),
        (("mine", Scaling, nn.ReLU()), "method 'mine': model_cls must be a subclass of Module"),
        (("Mine", Scaling), "not case-sensitive; name it 'mine'"),
    ],
)
def test_records_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        register_method(Method(*arguments))
