"""SimVP with a quantizer: where it stands, and that it changes nothing else."""

import pytest
import torch
from comparison import assert_close

from openstl_svq.host import SimVP_Model
from openstl_svq.methods.forecast import add_noise
from openstl_svq.models import SimVP_SVQ_Model
from openstl_svq.quantizers import QuantizerOutput, list_quantizers

SIZES = dict(in_shape=(3, 2, 16, 8), hid_S=8, hid_T=16, N_S=2, N_T=2)


@pytest.fixture
def x():
    return torch.randn(2, 3, 2, 16, 8, generator=torch.Generator().manual_seed(0))


def build(**kwargs):
    torch.manual_seed(0)
    return SimVP_SVQ_Model(**SIZES, quantizer_kwargs={"codebook_size": 16}, **kwargs).eval()


def test_none_is_simvp(x):
    model = build(quant_position="none")
    plain = SimVP_Model(**SIZES)
    plain.load_state_dict(model.state_dict())
    assert_close(model(x), plain.eval()(x))
    prediction, output = model(x, return_quantizer_output=True)
    assert output is None and prediction.shape == x.shape


@pytest.mark.parametrize("position", ["before", "after"])
def test_an_identity_in_place_of_the_quantizer_gives_simvp(x, position, monkeypatch):
    """So the quantizer stands in the path once, and nothing else differs."""
    model = build(quant_position=position)
    plain = build(quant_position="none")
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("quantizer")})
    assert (model(x) - plain(x)).abs().max() > 1e-3
    monkeypatch.setattr(model.quantizer, "quantize", lambda z, **_: QuantizerOutput(z, z.new_zeros(())))
    assert_close(model(x), plain(x))


@pytest.mark.parametrize("position", ["before", "after"])
def test_autocast_lowers_neither_encoder_nor_quantizer(x, position):
    model = build(quant_position=position)
    with torch.no_grad():
        exact, expected = model(x, return_quantizer_output=True)
        with torch.autocast("cpu", torch.bfloat16):
            lowered, output = model(x, return_quantizer_output=True)
            again = model(lowered)  # as a forecast is that is longer than the input
    assert output.quantized.dtype == torch.float32 and lowered.dtype == again.dtype == torch.bfloat16
    if position == "before":
        assert torch.equal(output.quantized, expected.quantized)
    assert 0 < (lowered - exact).abs().max() < 0.1


@pytest.mark.parametrize("position", ["before", "after"])
def test_the_output_is_that_of_the_latent_at_its_position(x, position):
    model = build(quant_position=position)
    _, output = model(x, return_quantizer_output=True, return_codes=True)
    latent, _ = model.enc(x.flatten(0, 1))
    if position == "after":
        latent = model.hid(latent.unflatten(0, (2, 3))).flatten(0, 1)
    assert_close(output.quantized, model.quantizer(latent).quantized)
    assert output.weights.shape == (6, 8, 4, 16)


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("quantizer", list_quantizers())
def test_every_quantizer_trains_in_both_positions(x, quantizer, position):
    torch.manual_seed(0)
    model = SimVP_SVQ_Model(**SIZES, quantizer=quantizer, quant_position=position).train()
    prediction, output = model(x, return_quantizer_output=True)
    (prediction.abs().mean() + output.aux_loss).backward()
    for name, parameter in model.enc.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"quant_position": "middle"}, "quant_position 'middle'"),
        ({"quantizer": "svk"}, "Did you mean 'svq'"),
        ({"model_type": "gstb"}, "gsta"),
        ({"hid_s": 4}, "argument of SimVP 'hid_s'. Did you mean 'hid_S'"),
    ],
)
def test_unknown_names(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SimVP_SVQ_Model(**SIZES, **kwargs)


def test_wrong_input_is_described(x):
    with pytest.raises(ValueError, match=r"\(T, C\) = \(3, 2\), got \(2, 2, 2, 16, 8\)"):
        build()(x[:, :2])


def test_noise_disturbs_the_share_it_is_told():
    torch.manual_seed(0)
    x = torch.ones(1000)
    factors = add_noise(x, 0.3)
    disturbed = factors[factors != 1]
    assert len(disturbed) == 300 and disturbed.min() < -1.5 and disturbed.max() > 1.5 and abs(disturbed.mean()) < 0.2
    assert torch.equal(add_noise(x, 0.0), x)
