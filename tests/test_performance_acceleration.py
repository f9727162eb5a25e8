"""Accelerated models: the same function, gradients, parameters and losses as the plain ones."""

import copy

import pytest
import torch
from comparison import assert_close
from test_builtin_models import TRANSLATORS, normal, small
from torch import nn
from torch.nn import functional as F

from openstl_svq.acceleration import (
    CompiledGELU,
    DepthwiseConv2d,
    GroupNormSiLU,
    PointwiseConv2d,
    accelerate,
    keep_freed_memory,
)
from openstl_svq.models import SimVP_SVQ_Model

numba = pytest.importorskip("numba", reason="the compiled depthwise convolutions need numba")


def gradients(model, x):
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = model(x)
    (y * normal(*y.shape, seed=1)).sum().backward()
    return {"output": y, "input": x.grad} | {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("kernel, dilation", [(3, 1), (5, 1), (7, 3), (11, 1), (5, 2)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_depthwise_convolution(kernel, dilation, threads, bias, monkeypatch):
    monkeypatch.setattr("openstl_svq.acceleration.depthwise._THREADED", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    plain = nn.Conv2d(12, 12, kernel, padding="same", dilation=dilation, groups=12, bias=bias)
    fast = accelerate(copy.deepcopy(plain))
    assert type(fast) is DepthwiseConv2d
    x = normal(3, 12, 7, 10)
    expected = gradients(plain, x)
    for layout in (torch.contiguous_format, torch.channels_last):
        actual = gradients(fast, x.contiguous(memory_format=layout))
        assert actual["output"].is_contiguous(memory_format=torch.channels_last)
        for name, value in expected.items():
            assert_close(actual[name], value, rtol=1e-5, atol=1e-5)


def test_pointwise_convolution_copies_nothing():
    plain = nn.Conv2d(8, 12, 1)
    fast = accelerate(copy.deepcopy(plain))
    assert type(fast) is PointwiseConv2d
    x = normal(2, 8, 5, 6)
    expected, actual = gradients(plain, x), gradients(fast, x.contiguous(memory_format=torch.channels_last))
    for name, value in expected.items():
        assert_close(actual[name], value, rtol=1e-5, atol=1e-5)
    assert actual["output"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="circular"),
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=4),
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, padding=1),
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(conv):
    assert type(accelerate(conv)) is nn.Conv2d


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gelu(threads, layout, monkeypatch):
    monkeypatch.setattr("openstl_svq.acceleration.gelu._THREADED", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    fast = accelerate(nn.GELU())
    assert type(fast) is CompiledGELU
    x = (4 * normal(2, 64, 16, 32)).contiguous(memory_format=layout)
    expected, actual = gradients(nn.GELU(), x.double()), gradients(fast, x)
    for name, value in expected.items():
        assert_close(actual[name].double(), value, rtol=1e-6, atol=1e-6, what=name)
    with torch.no_grad():
        assert_close(fast(x), actual["output"].detach(), rtol=1e-6, atol=1e-6)
    assert actual["output"].is_contiguous(memory_format=layout)


def test_gelu_of_large_and_missing_values():
    values = torch.tensor([0.0, 1e-30, 40.0, -40.0, 1e20, -1e20, float("inf"), float("nan")])
    x = values.repeat(2**12)
    actual = CompiledGELU()(x)
    assert_close(actual[:6], F.gelu(values[:6]), rtol=1e-6, atol=1e-30)
    assert actual[6] == float("inf") and actual[7].isnan()


def test_gelu_gives_no_subnormal_numbers():
    """A processor takes ten times as long over them, and so would every layer that follows."""
    x = torch.linspace(-40, 40, 2**16, requires_grad=True)
    y = CompiledGELU()(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    for values in (y.detach(), slope):
        assert ((values == 0) | (values.abs() > 1e-25)).all()


def test_gelu_of_elsewhere_stays_torchs():
    assert type(accelerate(nn.GELU(approximate="tanh"))) is nn.GELU
    x = normal(2, 64, 16, 32)
    for other in (x.double(), x.bfloat16(), x[:, :, ::2], x[:1, :1]):
        assert torch.equal(CompiledGELU()(other), F.gelu(other))


class Stage(nn.Module):
    """A layer as OpenSTL has it, outside of a Sequential."""

    def __init__(self, channels, groups, **options):
        super().__init__()
        self.act = nn.SiLU(inplace=True)
        self.norm = nn.GroupNorm(groups, channels, **options)

    def forward(self, x):
        return self.act(self.norm(x))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape, groups", [((5, 6, 7, 11), 3), ((3, 8, 16, 33), 2), ((2, 520, 3, 2), 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_group_norm_and_silu(threads, shape, groups, layout, monkeypatch):
    for name in ("_LEAST", "_THREADED"):
        monkeypatch.setattr(f"openstl_svq.acceleration.group_norm.{name}", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(0)
    plain = Stage(shape[1], groups)
    for parameter in plain.parameters():
        nn.init.normal_(parameter)
    fast = accelerate(copy.deepcopy(plain))
    assert type(fast.norm) is GroupNormSiLU and type(fast.act) is not nn.SiLU
    x = (3 * normal(*shape) + 20).contiguous(memory_format=layout)
    expected, actual = gradients(plain.double(), x.double()), gradients(fast, x)
    for name, value in expected.items():
        assert_close(actual[name].double(), value, rtol=1e-4, atol=1e-4, what=name)
    with torch.no_grad():
        assert_close(fast(x), actual["output"].detach(), rtol=1e-6, atol=1e-6)
    x[0, 0, 0, 0] = float("nan")
    assert torch.equal(fast(x).isnan(), plain(x.double()).isnan())


class Reader(Stage):
    def forward(self, x):
        x = self.norm(x)
        return self.act(x) + x


class Repeated(Stage):
    def forward(self, x):
        return self.act(self.norm(self.act(self.norm(x))))


class Branching(Stage):
    def forward(self, x):
        return self.act(self.norm(x)) if x.sum() > 0 else x


@pytest.mark.parametrize(
    "model",
    [
        Reader(4, 2),
        Repeated(4, 2),
        Branching(4, 2),
        Stage(4, 2, affine=False),
        nn.Sequential(nn.GroupNorm(2, 4), nn.ReLU(), nn.SiLU()),
        nn.Sequential(*(nn.GroupNorm(2, 4), nn.SiLU()) * 2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_other_group_norms_stay_as_they_are(model):
    accelerate(model)
    assert not any(isinstance(module, GroupNormSiLU) for module in model.modules())


@pytest.mark.skipif(not keep_freed_memory(False), reason="not glibc")
def test_kept_memory_is_not_asked_for_again():
    import resource

    def faults():
        for _ in range(3):
            torch.ones(2**26)  # 256 MiB: more than earlier tests can have left behind
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.ones(2**26)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory(False)  # whatever an earlier test has left
    returned = faults()
    try:
        assert keep_freed_memory()
        assert faults() < 0.1 * returned
    finally:
        keep_freed_memory(False)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_every_translator(name):
    plain = small(name, drop_path=0.0)
    for module in plain.modules():
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    fast = accelerate(copy.deepcopy(plain))
    assert fast.state_dict().keys() == plain.state_dict().keys()
    x = normal(3, 2, 1, 8, 16)
    expected, actual = gradients(plain, x), gradients(fast, x)
    for key, value in expected.items():
        assert_close(actual[key], value, rtol=1e-3, atol=1e-3 * value.detach().abs().max().item() + 5e-6)
    for key, value in plain.state_dict().items():  # running statistics too
        assert_close(fast.state_dict()[key], value, rtol=1e-4, atol=1e-5)


def losses(model, steps):
    torch.manual_seed(0)
    x, y = normal(2, 4, 1, 16, 16), normal(2, 4, 1, 16, 16, seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        prediction, output = model(x, return_quantizer_output=True)
        loss = F.l1_loss(prediction, y) + output.aux_loss
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return torch.tensor(values)


def test_losses_of_fifty_steps():
    torch.manual_seed(0)
    sizes = {"hid_S": 8, "hid_T": 32, "N_S": 2, "N_T": 3, "model_type": "gSTA", "drop_path": 0.1}
    plain = SimVP_SVQ_Model((4, 1, 16, 16), **sizes, quantizer_kwargs={"codebook_size": 100, "hidden_dim": 16})
    fast = accelerate(copy.deepcopy(plain))
    expected = losses(plain, 50)
    assert expected[-1] < expected[0]
    assert_close(losses(fast, 50), expected, rtol=0, atol=1e-4)


def layouts(model, x):
    """Whether the channels of each convolution's input lay side by side, by the convolution's name."""
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda module, inputs, _, name=name: seen.update(
                    {name: inputs[0].stride(1) == 1 or inputs[0].shape[1] == 1}
                )
            )
    model(x)
    return seen


@pytest.mark.parametrize("name", TRANSLATORS)
def test_maps_stay_channels_last(name):
    model = accelerate(small(name))
    assert [name for name, channels_last in layouts(model, normal(2, 2, 1, 8, 16)).items() if not channels_last] == []


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_traces_and_exports_hold_torchs_operations_alone():
    model, x = accelerate(small("gsta")).eval(), normal(1, 2, 1, 8, 16)
    traced = torch.jit.trace(model, x)
    assert "openstl_svq::" not in str(traced.inlined_graph)
    exported = torch.export.export(model, (x,))
    assert not any("openstl_svq." in str(node.target) for node in exported.graph.nodes)
    assert_close(exported.module()(x), model(x), rtol=1e-5, atol=1e-5)


def test_under_autocast():
    plain = small("gsta").eval()
    fast, x = accelerate(copy.deepcopy(plain)), normal(1, 2, 1, 8, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        actual, expected = fast(x), plain(x)
    assert actual.dtype == torch.bfloat16
    assert_close(actual, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dilation", [1, 2])
def test_depthwise_convolutions_are_not_lowered_by_autocast(dilation):
    torch.manual_seed(0)
    plain = nn.Conv2d(12, 12, 3, padding="same", dilation=dilation, groups=12)
    fast, x = accelerate(copy.deepcopy(plain)), normal(3, 12, 7, 10).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = fast(x)
    y.float().square().sum().backward()
    expected = plain(x)
    assert_close(y.float(), expected, rtol=2**-8, atol=1e-5)  # rounded once, at the end
    (weight,) = torch.autograd.grad(expected.square().sum(), plain.weight)
    assert_close(fast.weight.grad, weight, rtol=0.01, atol=0.05)


def test_other_precisions_take_torchs_form():
    model = accelerate(small("gsta"))
    plain = small("gsta")
    x = normal(1, 2, 1, 8, 16, dtype=torch.float64)
    assert_close(model.eval().double()(x), plain.eval().double()(x), rtol=1e-10, atol=1e-10)
