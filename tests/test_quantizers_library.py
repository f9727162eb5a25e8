"""Adapters over vector-quantize-pytorch: Table 11's settings, any class by name, usage from indices, bad settings."""

import datetime
import math
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from comparison import assert_close
from scipy.stats import entropy

from openstl_svq.quantizers import build_quantizer, index_usage, library
from openstl_svq.quantizers.library import LibraryQuantizer, library_classes

pytestmark = pytest.mark.skipif(not library_classes(), reason="vector-quantize-pytorch is not installed")

# Settings without a default in the library, so that every class can be tried.
REQUIRED = {
    "VectorQuantize": {"codebook_size": 32},
    "ResidualVQ": {"codebook_size": 32, "num_quantizers": 3},
    "GroupedResidualVQ": {"codebook_size": 32, "num_quantizers": 3, "groups": 2},
    "SimVQ": {"codebook_size": 32},
    "ResidualSimVQ": {"codebook_size": 32, "num_quantizers": 3},
    "FSQ": {"levels": [8, 5, 5]},
    "FSP": {"levels": [8, 5, 5]},
    "ResidualFSQ": {"levels": [8, 5, 5], "num_quantizers": 3},
    "GroupedResidualFSQ": {"levels": [8, 5, 5], "num_quantizers": 3, "groups": 2},
    "LatentQuantize": {"levels": [5, 5, 8]},
    "LFQ": {"codebook_size": 32},
    "ResidualLFQ": {"codebook_size": 32, "num_quantizers": 3},
    "GroupedResidualLFQ": {"codebook_size": 32, "num_quantizers": 3, "groups": 2},
    "HierarchicalVQ": {"codebook_size": 8, "scales": [1, 2, 4], "kmeans_init": False},
}
SLOTS = {
    "ResidualVQ": 3,
    "GroupedResidualVQ": 6,
    "ResidualSimVQ": 3,
    "ResidualFSQ": 3,
    "GroupedResidualFSQ": 6,
    "ResidualLFQ": 3,
    "GroupedResidualLFQ": 6,
    "HierarchicalVQ": 3,
}


def latent(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", sorted(library_classes()))
def test_every_class_is_understood_or_refused(name):
    torch.manual_seed(0)
    if name not in REQUIRED:
        with pytest.raises(ValueError, match=f"{name} cannot stand in a model: "):
            build_quantizer(name, 16)
        return
    quantizer = build_quantizer(name, 16, **REQUIRED[name])
    z = latent(2, 16, 5, 7).requires_grad_()
    output = quantizer(z, return_codes=True, return_usage=True)
    (output.quantized.square().sum() + output.aux_loss).backward()
    assert output.quantized.shape == z.shape and z.grad.abs().sum() > 0
    assert output.aux_loss.shape == ()
    assert output.indices.shape == (2, 5, 7, SLOTS.get(name, 1)) and output.indices.dtype == torch.int64
    if name not in ("HierarchicalVQ", "LatentQuantize"):
        flat = output.indices.flatten(0, 2)
        expected = [math.exp(entropy(torch.bincount(slot).numpy())) for slot in flat.unbind(-1)]
        assert_close(output.usage["perplexity"].double(), sum(expected) / len(expected), rtol=1e-6)
        used = [slot.unique().numel() / quantizer.codebook_size for slot in flat.unbind(-1)]
        assert_close(output.usage["codebook_usage"].double(), sum(used) / len(used), rtol=1e-6)


def test_the_tables_settings():
    """Table 11."""
    for name, cls, expected in [
        ("vq", "VectorQuantize", {"codebook_size": 512, "heads": 1}),
        ("multi_headed_vq", "VectorQuantize", {"codebook_size": 1024, "heads": 8, "separate_codebook_per_head": False}),
        ("residual_vq", "ResidualVQ", {"codebook_size": 1024, "num_quantizers": 8, "shared_codebook": True}),
        ("residual_vq_stochastic", "ResidualVQ", {"codebook_size": 1024, "num_quantizers": 8, "shared_codebook": True}),
        ("grouped_residual_vq", "GroupedResidualVQ", {"groups": 2}),
        ("residual_fsq", "ResidualFSQ", {"levels": [8, 5, 5, 3], "num_quantizers": 8}),
        ("lfq", "LFQ", {"codebook_size": 8192, "entropy_loss_weight": 0.1}),
        ("residual_lfq", "ResidualLFQ", {"num_quantizers": 8}),
    ]:
        module = build_quantizer(name, 32).library
        assert type(module).__name__ == cls
        assert {key: getattr(module, key) for key in expected} == expected, name
    assert build_quantizer("residual_lfq", 32).library.layers[0].codebook_size == 256
    grouped = build_quantizer("grouped_residual_vq", 32).library.rvqs[0]
    assert (grouped.codebook_size, grouped.num_quantizers, grouped.shared_codebook) == (1024, 8, True)
    sampling = build_quantizer("residual_vq_stochastic", 32).library.layers[0]._codebook
    assert sampling.gumbel_sample.keywords["stochastic"] and sampling.sample_codebook_temp == 0.1


@pytest.mark.parametrize("name", ["vq", "residual_vq", "multi_headed_vq", "lfq", "residual_fsq", "grouped_residual_vq"])
def test_indices_and_output_are_the_librarys(name):
    quantizer = build_quantizer(name, 16).eval()
    z = latent(2, 16, 5, 7)
    expected = quantizer.library(z.flatten(2).transpose(1, 2))
    output = quantizer(z, return_codes=True)
    assert_close(output.quantized.flatten(2).transpose(1, 2), expected[0])
    indices = expected[1].permute(1, 2, 3, 0).flatten(2) if name.startswith("grouped") else expected[1]
    assert torch.equal(output.indices.flatten(1, 2), indices.reshape(2, 35, -1).long())


def test_autocast_does_not_change_what_is_looked_up():
    quantizer = build_quantizer("residual_vq", 16).eval()
    z = latent(2, 16, 5, 7)
    expected = quantizer(z, return_codes=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = quantizer(z, return_codes=True)
    assert torch.equal(actual.indices, expected.indices) and torch.equal(actual.quantized, expected.quantized)


def test_index_usage():
    slots = [torch.tensor([[0, 1], [2, 3]]), torch.tensor([1, 1, -1]), torch.tensor([-1, -1])]
    usage = index_usage(slots, [4, 8, 8])  # the last one is left out: nothing was quantized
    assert usage["perplexity"].item() == pytest.approx((4 + 1) / 2)
    assert usage["codebook_usage"].item() == pytest.approx((1 + 1 / 8) / 2)
    assert index_usage([], [])["perplexity"] == 0


def test_codebooks_of_different_sizes():
    quantizer = build_quantizer("ResidualVQ", 16, codebook_size=[32, 8])
    assert quantizer.codebook_size == (32, 8)
    output = quantizer(latent(2, 16, 5, 7), return_codes=True, return_usage=True)
    used = [output.indices[..., slot].unique().numel() / size for slot, size in enumerate((32, 8))]
    assert output.usage["codebook_usage"].item() == pytest.approx(sum(used) / 2)


def test_dropped_quantizers_are_not_counted():
    torch.manual_seed(0)
    quantizer = build_quantizer("ResidualVQ", 16, codebook_size=32, num_quantizers=3, quantize_dropout=True)
    outputs = [quantizer(latent(2, 16, 5, 7), return_codes=True, return_usage=True) for _ in range(6)]
    assert any((o.indices == -1).all(dim=(0, 1, 2)).any() for o in outputs)
    assert all(o.usage["perplexity"] > 5 for o in outputs)


def test_buffers_that_appear_while_training_are_restored():
    trained, fresh = (build_quantizer("VectorQuantize", 16, codebook_size=8, affine_param=True) for _ in range(2))
    trained(latent(2, 16, 5, 7))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.library._codebook.batch_mean, trained.library._codebook.batch_mean)
    z = latent(2, 16, 5, 7, seed=2)
    assert torch.equal(fresh.eval()(z).quantized, trained.eval()(z).quantized)


BAD = [
    ("lfq", {"codebook_size": 1000}, "codebook_size of LFQ must be a power of 2, at least 2, got 1000"),
    ("lfq", {"codebook_size": 1}, "power of 2, at least 2, got 1"),
    ("residual_lfq", {"codebook_size": 300}, "power of 2, at least 2, got 300"),
    ("grouped_residual_vq", {"groups": 3}, "groups=3.* is not valid: assert .dim % groups. == 0"),
    ("grouped_residual_vq", {"groups": 0}, "groups must be a positive integer"),
    ("residual_vq", {"heads": 4}, "heads=4.* is not valid: residual vq is not compatible with multi-headed"),
    ("residual_vq", {"num_quantizers": -1}, "num_quantizers must be a positive integer, got -1"),
    ("multi_headed_vq", {"heads": 0}, "heads must be a positive integer"),
    ("multi_headed_vq", {"codebook_dim": -4}, "codebook_dim must be a positive integer"),
    ("residual_fsq", {"levels": [8, 1, 5]}, r"integers of at least 2, .* got \[8, 1, 5\]"),
    ("residual_fsq", {"levels": []}, r"integers of at least 2, .* got \[\]"),
    ("FSQ", {"levels": [8, 2.5]}, r"integers of at least 2, .* got \[8, 2.5\]"),
    ("residual_fsq", {"levels": [2000] * 8}, "product of levels = .* is too large, at most"),
    ("vq", {"codebook_size": 10**11}, "codebook_size = 100000000000 is too large, at most"),
    ("lfq", {"codebook_size": 2**40}, "is too large, at most"),
    ("vq", {"codebok_size": 4}, "Did you mean 'codebook_size'"),
    ("vq", {"accept_image_fmap": True}, "unknown setting of VectorQuantize: 'accept_image_fmap'"),
    ("residual_vq", {"decai": 0.9}, "Did you mean 'decay'"),
    ("SimVQ", {}, r"SimVQ\(dim=16\) is not valid: .*codebook_size"),
    ("vq", {"sync_update_v": 2.0}, "is not valid: assert 0 <= sync_update_v <= 1"),
    ("BSQ", {}, "use LFQ with spherical=True"),
    ("SimVK", {"codebook_size": 4}, "unknown quantizer 'SimVK'. Did you mean 'SimVQ'"),
]


MOVING_AVERAGES = {
    "vq": {"codebook_size": 8},
    "multi_headed_vq": {"codebook_size": 8, "heads": 2},
    "residual_vq": {"codebook_size": 8, "num_quantizers": 2},
}


def _in_a_process(rank, store, results=None):
    """One of two processes: each quantizer after a training step on this process's half of the batch."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    quantizers = {name: build_quantizer(name, 8, **settings) for name, settings in MOVING_AVERAGES.items()}
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=180)
    )
    try:
        for quantizer in quantizers.values():
            quantizer.processes_started()
            quantizer(latent(4, 8, 4, 4).chunk(2)[rank])
        states = {name: quantizer.state_dict() for name, quantizer in quantizers.items()}
        if results is not None:
            results.put({name: {k: v.numpy() for k, v in state.items()} for name, state in states.items()})
        dist.barrier()  # neither leaves while the other still talks
        return states
    finally:
        dist.destroy_process_group()


def test_codebooks_follow_all_processes(tmp_path):
    """As one process on the whole batch does, although they were built before the processes were there."""
    torch.manual_seed(0)
    alone = {name: build_quantizer(name, 8, **settings) for name, settings in MOVING_AVERAGES.items()}
    before = {name: {k: v.clone() for k, v in quantizer.state_dict().items()} for name, quantizer in alone.items()}
    for quantizer in alone.values():
        quantizer.processes_started()
        quantizer(latent(4, 8, 4, 4))
    context = torch.multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    other = context.Process(target=_in_a_process, args=(1, tmp_path / "store", results))
    other.start()
    first, second = _in_a_process(0, tmp_path / "store"), results.get()
    other.kill()  # it has nothing left to do, and torch 2.4 can hang at its end
    other.join()
    for name, quantizer in alone.items():
        moved = 0
        for key, value in quantizer.state_dict().items():
            assert_close(first[name][key], value)
            assert_close(torch.from_numpy(second[name][key]), value)
            moved += not torch.equal(value, before[name][key])
        assert moved


@pytest.mark.parametrize("name, settings, message", BAD)
def test_bad_settings(name, settings, message):
    with pytest.raises(ValueError, match=message):
        build_quantizer(name, 16, **settings)


def test_a_step_larger_than_memory_is_refused():
    quantizer = build_quantizer("vq", 16)
    quantizer.check_memory(1000)
    with pytest.raises(ValueError, match="a training step of VectorQuantize over .* tokens needs"):
        quantizer.check_memory(10**9)


def test_a_class_with_another_return_value_is_refused(monkeypatch):
    class Labels(torch.nn.Module):
        def __init__(self, dim):
            super().__init__()

        def forward(self, x):
            return x.argmax(-1)

    monkeypatch.setattr(library, "library_classes", lambda: {"Labels": Labels})
    with pytest.raises(ValueError, match="Labels does not return"):
        LibraryQuantizer(16, "Labels")(latent(1, 16, 2, 2))


def test_the_package_is_imported_only_when_needed():
    code = (
        "import sys, openstl_svq.quantizers as q; q.list_quantizers(); q.build_quantizer('svq', 4);"
        "assert not any('vector_quantize' in m for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(ImportError, match="VectorQuantize needs the package .*pip install vector-quantize-pytorch"):
        build_quantizer("vq", 16)
    with pytest.raises(ValueError, match="unknown quantizer 'SimVQ'.*vector-quantize-pytorch.* is not installed"):
        build_quantizer("SimVQ", 16, codebook_size=4)
    build_quantizer("svq", 4, codebook_size=8)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("residual_fsq", {"levels": 5}, "levels must be a list of integers of at least 2, .* got 5"),
        ("FSQ", {"levels": "85"}, "levels must be a list of integers"),
        ("residual_fsq", {"levels": [float("inf"), 3]}, r"got \[inf, 3\]"),
        ("LatentQuantize", {"levels": 5}, "levels must be a list of integers"),
        ("LatentQuantize", {"levels": [4, 3], "codebook_dim": 3}, "LatentQuantize.*is not valid"),
        ("lfq", {"codebook_size": [16, 8]}, r"LFQ\(dim=8, codebook_size=\(16, 8\).*is not valid"),
        ("grouped_residual_vq", {"groups": [2]}, r"groups must be a positive integer, got \[2\]"),
        ("LFQ", {"codebook_size": 16, "has_projections": False}, "LFQ.*is not valid"),
        ("vq", {"sync_codebook": True}, "sync_codebook follows the processes"),
        ("vq", {"decay": "abc"}, "decay must be a number"),
        ("vq", {"decay": 2.0}, "decay must lie between 0 and 1, got 2.0; the nearest valid value is 1"),
        ("vq", {"commitment_weight": -5}, "commitment_weight must be a number of at least 0"),
        ("vq", {"eps": None}, "VectorQuantize.*is not valid"),
        ("SimVQ", {"codebook_size": 16, "commitment_weight": None}, "SimVQ.*is not valid"),
        ("residual_lfq", {"num_quantizers": 10**12}, "num_quantizers = 1000000000000 is too large, at most"),
        ("multi_headed_vq", {"heads": 10**12}, "heads = 1000000000000 is too large, at most"),
    ],
)
def test_settings_that_would_fail_in_training_fail_when_built(name, settings, message):
    with pytest.raises(ValueError, match=message):
        build_quantizer(name, 8, **settings)


def test_the_trial_leaves_no_trace():
    torch.manual_seed(0)
    quantizer = build_quantizer("vq", 8, codebook_size=16, kmeans_init=True)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    library_classes()["VectorQuantize"](dim=8, codebook_size=16, kmeans_init=True)
    assert torch.equal(torch.rand(1), drawn)
    assert not quantizer.library._codebook.initted.item() and quantizer.training


def test_lfq_of_all_signs():
    assert build_quantizer("lfq", 8, codebook_size=None).codebook_size == 2**8


@pytest.mark.parametrize("name", ["svq", "svq_raw"])
def test_sparse_needs_ten_codes(name):
    with pytest.raises(ValueError, match="all of it with 9 codes; the smallest valid codebook_size is 10"):
        build_quantizer(name, 8, codebook_size=9, init="sparse")
    assert build_quantizer(name, 8, codebook_size=10, init="sparse").codebook.count_nonzero()
