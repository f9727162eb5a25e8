"""Parameters and FLOPs against the measurements of OpenSTL, and the model left as it was."""

import json
from pathlib import Path

import pytest
import torch
from measure_recurrent import FRAMES, build
from torch import nn

from openstl_svq.benchmarks.backbones import _DATASETS, BACKBONES, OTHERS, _other_row, agrees
from openstl_svq.host import SimVP_Model
from openstl_svq.host.builtin.methods import method_maps
from openstl_svq.models import SimVP_SVQ_Model
from openstl_svq.models.cost import dry_cost, model_cost

CONFIGS = Path(__file__).parents[1] / "configs"
MEASURED = json.loads((Path(__file__).parent / "parity" / "param_flops.json").read_text())
TAXIBJ = MEASURED["taxibj"]


@pytest.mark.parametrize("translator", TAXIBJ["models"])
def test_counts_what_openstl_counts(translator):
    arguments = {**TAXIBJ["arguments"], "model_type": translator}
    cost = model_cost(SimVP_Model(**arguments), arguments["in_shape"])
    expected = TAXIBJ["models"][translator]
    assert (cost.params, cost.flops) == (expected["params"], expected["flops"])


def test_svq_row_of_table_12():
    expected = MEASURED["paper_table_12"]["weather_s"]
    added = expected["reading_that_reproduces_the_svq_row"]
    arguments = expected["openstl_arguments"]
    cost = model_cost(
        SimVP_SVQ_Model(**arguments, quantizer="svq", quantizer_kwargs={"form": "reference"}), arguments["in_shape"]
    )
    assert cost.params == expected["openstl"]["params"] + added["added_params"]
    assert cost.flops == expected["openstl"]["flops"] + added["added_flops"]
    assert agrees(cost.params, "14.37M") and agrees(cost.flops, "16.8G")


def test_folded_form_adds_the_fold_and_two_small_products():
    sizes = {"in_shape": (2, 1, 16, 16), "hid_S": 8, "hid_T": 16, "N_S": 2, "N_T": 2}
    tokens, width, hidden, codes = 2 * 8 * 8, 8, 16, 100
    settings = {"codebook_size": codes, "hidden_dim": hidden}
    plain = model_cost(SimVP_Model(**sizes), sizes["in_shape"])
    folded = model_cost(SimVP_SVQ_Model(**sizes, quantizer_kwargs=settings), sizes["in_shape"])
    reference = model_cost(
        SimVP_SVQ_Model(**sizes, quantizer_kwargs={**settings, "form": "reference"}), sizes["in_shape"]
    )
    assert folded.flops - plain.flops == 2 * tokens * width * hidden + codes * width * (hidden + 1)
    assert reference.flops - plain.flops == tokens * (width * hidden + hidden * codes + codes * width)
    added = (width + 1) * hidden + (hidden + 1) * codes + codes * width
    assert folded.params == reference.params == plain.params + added


class Attention(nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.fused = fused

    def forward(self, x):  # (1, heads, L, E)
        keys, values = x[..., ::2, :], x[..., ::2, :3]
        if self.fused:
            return nn.functional.scaled_dot_product_attention(x, keys, values)
        return (x @ keys.transpose(-2, -1)).softmax(-1) @ values


def test_fused_attention_counts_as_plain_attention():
    shape = (3, 10, 4)  # heads, L, E; 5 keys, values of width 3
    fused, plain = (model_cost(Attention(f), shape) for f in (True, False))
    assert fused.flops == plain.flops == 3 * 10 * 5 * (4 + 3)
    assert plain.skipped == {"aten::softmax": 1} and not fused.skipped


def test_leaves_model_and_random_state_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))
    model[2].eval()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("hook"))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    random_state = torch.get_rng_state()
    cost = model_cost(model, torch.ones(1, 1, 8, 8))
    assert cost.flops == 36 * 9 * 4 + 36 * 4 * 2 + 144 * 2
    assert calls == [] and [m.training for m in model] == [True, True, False, True, True]
    assert torch.equal(random_state, torch.get_rng_state())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    model(torch.ones(2, 1, 8, 8))
    assert calls == ["hook"], "the user's hook must still be there, alone"


def test_several_inputs():
    assert model_cost(nn.Bilinear(3, 4, 5), (torch.ones(1, 3), torch.ones(1, 4))).params == 3 * 4 * 5 + 5


@pytest.mark.parametrize("shape", [(), (4, 0, 8, 8), (4, 1.5, 8, 8), "4"])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(T, C, H, W\) in positive integers"):
        model_cost(nn.Identity(), shape)


@pytest.mark.parametrize(
    "value, printed, answer",
    [
        (12_758_305, "12.76M", True),
        (9_457_778, "9.45M", True),
        (16.861e9, "16.8G", True),
        (16.861e9, "16.9G", True),
        (177.577e9, "178.0G", True),
        (110.357e9, "110.0G", True),
        (145.986e9, "146.0G", True),
        (96.243e9, "96.3G", False),
        (9.961e6, "7.84M", False),
        (16.79e9, "16.8G", True),
        (16.91e9, "16.8G", False),
    ],
)
def test_agreement_with_printed_figures(value, printed, answer):
    assert agrees(value, printed) is answer


RECURRENT = ("ConvLSTM", "E3DLSTM", "PhyDNet", "MAU", "MIM", "PredRNN", "PredRNNpp", "PredRNNv2")
APART = {  # explained in the notes of the table
    ("ConvLSTM", "weather_t2m_5_625"): "all but parameters",
    ("PredRNNv2", "weather_t2m_5_625"): "all but parameters",
    ("E3DLSTM", "weather_t2m_5_625"): "all but FLOPs",
    ("E3DLSTM", "taxibj"): "all but FLOPs",
}


@pytest.mark.parametrize("dataname", ["weather_t2m_5_625", "taxibj"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_rows_of_table_12(name, dataname):
    backbone = next(b for b in BACKBONES if b.printed and b.dataname == dataname)
    row = _other_row(name, backbone, OTHERS[name][_DATASETS.index(dataname)], CONFIGS)
    assert row["agrees"] == APART.get((name, dataname), "yes")


@pytest.mark.parametrize("dataname, printed", [("weather_t2m_5_625", "169G"), ("taxibj", "98.19G")])
def test_the_memory_of_e3dlstm_explains_its_difference(dataname, printed):
    backbone = next(b for b in BACKBONES if b.printed and b.dataname == dataname)
    row = _other_row("E3DLSTM", backbone, f"0M {printed}", CONFIGS)
    steps, _, *grid = backbone.in_shape
    patch = {"weather_t2m_5_625": 4, "taxibj": 2}[dataname]
    once = 4 * (grid[0] // patch * grid[1] // patch) * (4 * 128) * 128 * 2 * 5 * 5  # conv_gm of four layers
    assert agrees(row["simvp_flops"] + (2 * steps - 2) * once, printed)


@pytest.mark.parametrize("variant", ["convlstm", "predrnnv2_layer_norm", "mim", "e3dlstm", "mau_recall", "phydnet"])
def test_the_count_without_arithmetic_is_the_count(variant):
    model = build(method_maps, variant).model
    x, y = torch.ones(1, FRAMES["total_length"], *FRAMES["in_shape"][1:]).split((4, 3), dim=1)
    dry, counted = dry_cost(model, (x, y)), model_cost(model, (x, y))
    assert dry.params == counted.params
    assert dry.flops == pytest.approx(counted.flops, rel=2e-3)
