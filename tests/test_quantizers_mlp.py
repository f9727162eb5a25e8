"""The control: SVQ's function at step 0, another way of training it."""

import pytest
import torch
from comparison import assert_close

from openstl_svq.quantizers import SVQ, build_quantizer

SETTINGS = [{}, {"hidden_dim": None}, {"codebook_size": 10}, {"init": "orthogonal", "hidden_dim": 40}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_same_function_as_svq_at_step_0(settings):
    torch.manual_seed(0)
    svq, after_svq = SVQ(32, **settings), torch.get_rng_state()
    torch.manual_seed(0)
    mlp, after_mlp = build_quantizer("mlp", 32, **settings), torch.get_rng_state()
    assert torch.equal(after_svq, after_mlp)  # a model built around either draws the same numbers
    z = torch.randn(2, 32, 4, 5)
    assert_close(mlp(z).quantized, svq(z).quantized)


def test_it_is_a_small_trainable_mlp():
    mlp = build_quantizer("mlp", 32)
    assert {name: tuple(p.shape) for name, p in mlp.named_parameters()} == {
        "proj_in.weight": (128, 32),
        "proj_in.bias": (128,),
        "proj_out.weight": (32, 128),
        "proj_out.bias": (32,),
    }
    assert all(p.requires_grad for p in mlp.parameters())
    assert sum(p.numel() for p in mlp.parameters()) == 8352


def test_training_differs_from_svqs():
    torch.manual_seed(0)
    svq = SVQ(8, codebook_size=100, hidden_dim=16)
    torch.manual_seed(0)
    mlp = build_quantizer("mlp", 8, codebook_size=100, hidden_dim=16)
    z = torch.randn(2, 8, 4, 5)
    for quantizer in (svq, mlp):
        optimizer = torch.optim.SGD(quantizer.parameters(), lr=0.1)
        quantizer(z).quantized.square().mean().backward()
        optimizer.step()
    assert (svq(z).quantized - mlp(z).quantized).abs().max() > 1e-3
