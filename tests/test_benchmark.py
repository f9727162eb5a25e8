"""The benchmarks at small sizes: what they count, how they fail, what they print."""

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import answers
import pytest
import torch
from running import run_tool
from scipy import stats

from openstl_svq.benchmarks import BENCHMARKS, codebook, list_benchmarks, register_benchmark
from openstl_svq.benchmarks.step import TrainingStep
from openstl_svq.benchmarks.tables import Table
from openstl_svq.statistics import mean_interval, median_interval, student_quantile
from openstl_svq.timing import out_of_memory, paired_ratio, peak_memory, time_in_turn

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"in_shape": (2, 1, 16, 16), "hid_S": 8, "hid_T": 16, "N_S": 2, "N_T": 2}


# statistics


def test_mean_interval():
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0 and half == pytest.approx(4.302653 / 3**0.5, abs=1e-6)
    assert mean_interval([5.0])[0] == 5.0 and mean_interval([5.0])[1] != mean_interval([5.0])[1]


@pytest.mark.parametrize("n, left_out", [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (20, 5)])  # sign test, 95 %
def test_median_interval(n, left_out):
    assert median_interval(list(range(n))[::-1]) == (left_out, n - 1 - left_out)


def test_paired_ratio():
    ratio = paired_ratio([2.0, 9.0, 8.0], [1.0, 3.0, 2.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.pairs) == (3.0, 2.0, 4.0, 3)
    assert str(ratio) == "3.000 (2.000 to 4.000)"
    with pytest.raises(ValueError, match="paired values"):
        paired_ratio([1.0], [1.0, 2.0])


# time and memory


def test_functions_are_called_in_turn():
    calls = []
    seconds = time_in_turn({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=3, warmup=1)
    rounds = ["".join(calls[i : i + 3]) for i in range(0, 12, 3)]
    assert all(sorted(r) == ["a", "b", "c"] for r in rounds) and {r[0] for r in rounds[1:]} == {"a", "b", "c"}
    assert all(len(values) == 3 for values in seconds.values())


def test_peak_memory_is_that_of_the_worst_moment():
    def function():
        held = torch.empty(2**20)  # 4 MiB
        for _ in range(3):
            torch.empty(2**21)  # 8 MiB, one after another
        return held

    held_before = torch.empty(2**22)
    assert peak_memory(function) == 12 * 2**20
    del held_before


@pytest.mark.parametrize(
    "error, answer",
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("shapes differ"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), True),
    ],
)
def test_out_of_memory(error, answer):
    assert out_of_memory(error) is answer


def test_the_quantizers_own_refusal_counts_as_out_of_memory():
    from openstl_svq.quantizers.memory import require_memory

    with pytest.raises(ValueError) as refusal:
        require_memory(2**60, 2, "cpu", "a table", "size", "Use less.")
    assert out_of_memory(refusal.value)


# the tables


def test_quantizer_table():
    table = BENCHMARKS["quantizer"]((8, 8, 8, 8), codebook_size=2000, hidden_dim=16, rounds=2)
    reference, folded = table.rows
    assert (reference["form"], folded["form"]) == ("reference", "folded")
    weights = 4 * 512 * 2000  # bytes of the weights of 512 tokens, and of their gradient
    assert reference["memory"] >= 2 * weights > 4 * folded["memory"]
    assert folded["memory_ratio"] == reference["memory"] / folded["memory"] and reference["memory_ratio"] == 1
    assert reference["seconds"] == statistics.median(reference["all_seconds"])
    difference = float(table.notes[-1].split(": ")[-1].rstrip("."))
    assert 0 < difference < 1e-5


def test_step_table():
    table = BENCHMARKS["step"](SMALL, batch_size=1, codebook_size=32, rounds=2)
    assert [row["model"] for row in table.rows] == ["SimVP", "SimVP+SVQ, folded", "the same, taking usage"]
    assert table.rows[0]["ratio"] == 1 and table.rows[1]["low"] <= table.rows[1]["ratio"] <= table.rows[1]["high"]


def test_the_usage_step_takes_usage_from_as_many_tokens_as_training():
    from openstl_svq.methods.quantized import USAGE_TOKENS
    from openstl_svq.models import SimVP_SVQ_Model

    outputs = []
    for usage in (False, True):
        model = SimVP_SVQ_Model(**SMALL, quantizer_kwargs={"codebook_size": 32})
        model.quantizer.register_forward_hook(lambda module, inputs, output: outputs.append((module, output.usage)))
        TrainingStep(model, SMALL["in_shape"], batch_size=1, return_usage=usage)()
    (_, without), (quantizer, with_usage) = outputs
    assert without is None and with_usage["perplexity"] > 0 and quantizer.usage_tokens == USAGE_TOKENS


def test_fold_table():
    table = BENCHMARKS["fold"](codebook_sizes=(100, 1000), dim=8, hidden_dim=16, steps=30, seeds=1)
    found = {(row["arm"], row["codes"]): row for row in table.rows}
    assert found["svq", 1000]["movement"] > 5 * found["svq", 100]["movement"] > 10
    for codes in (100, 1000):
        assert found["mlp", codes]["movement"] == pytest.approx(1, rel=0.02)
        assert found["svq, width", codes]["movement"] == pytest.approx(1, rel=0.25)
        assert found["mlp", codes]["std_first"] == pytest.approx(found["svq", codes]["std_first"], rel=1e-4)
        assert all(found[arm, codes]["error_last"] < found[arm, codes]["error_first"] for arm in ("svq", "mlp"))


def test_blocks_table():
    (row,) = BENCHMARKS["blocks"](model_type=("gSTA",), scales=(1.0, 100.0), seeds=1).rows
    assert 50 < row["1.0"] / row["100.0"] < 200


def test_baselines_table(monkeypatch):
    from openstl_svq.benchmarks import baselines

    monkeypatch.setattr(
        baselines, "load_config", lambda path: {"method": "convlstm", "num_hidden": "4,4", "patch_size": 8}
    )
    if baselines.describe().name == "builtin":
        (row,) = BENCHMARKS["baselines"](["ConvLSTM"], rounds=2).rows
        assert row["seconds"] > 0 and "ratio" not in row
        assert len(row["losses"]) == 3 and row["losses"][2] < row["losses"][0]  # the warm-up, and two rounds


def test_ssim_table():
    table = BENCHMARKS["ssim"](batch_size=2, rounds=1)
    assert [row["size"] for row in table.rows][:2] == ["1 x 32 x 64", "2 x 32 x 32"]
    assert all(0 <= row["difference"] < 1e-5 and row["ratio"] > 0 for row in table.rows)


def test_training_step_trains_and_forecasts():
    from openstl_svq.models import SimVP_SVQ_Model

    torch.manual_seed(0)
    model = SimVP_SVQ_Model(**SMALL, quantizer_kwargs={"codebook_size": 32})
    step = TrainingStep(model, SMALL["in_shape"], batch_size=2)
    before = {k: v.clone() for k, v in step.model.named_parameters()}
    step()
    assert step.model.training and all(
        not torch.equal(v, before[k]) for k, v in step.model.quantizer.named_parameters(prefix="quantizer")
    )
    step.forecast()
    assert not step.model.training


def test_quantizers_table():
    table = BENCHMARKS["quantizers"](SMALL, batch_size=1, codebook_size=16, rounds=1)
    rows = {row["quantizer"]: row for row in table.rows}
    assert set(rows) >= {"no quantizer", "VQ", "Residual VQ", "Multi-headed VQ", "SVQ (frozen)", "SVQ (learnable)"}
    for key in ("params", "flops", "fps", "step", "memory"):
        assert rows["no quantizer"][f"{key}_ratio"] == 1
    # Table 13's arithmetic: a distance to every code per token, eight times for eight quantizers
    tokens, width, codes = 2 * 8 * 8, 8, 16
    plain = rows["no quantizer"]["flops"]
    distances = pytest.approx(tokens * width * codes, rel=1e-3)  # fvcore reads a rounded figure where einsum is used
    assert rows["VQ"]["flops"] - plain == distances
    assert (rows["Residual VQ"]["flops"] - plain) / 8 == distances
    products = width * 16 + 16 * codes + codes * width
    assert rows["SVQ (learnable), reference form"]["flops"] - plain == tokens * products
    assert rows["SVQ (learnable)"]["params"] == rows["SVQ (frozen)"]["params"]
    assert "Table 13" not in table.markdown().splitlines()[2], "printed figures belong to the printed size"


def test_codebook_table_takes_failures_as_results(monkeypatch):
    monkeypatch.delitem(codebook.CODEBOOK_FORMS, "svq folded")  # a process less
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # every further thread reserves memory of its own
    table = BENCHMARKS["codebook"](
        sizes=(512, 16, 2**17), shape=(2, 8, 8, 8), rounds=1, time_limit=60, memory_limit=160 / 1024
    )
    small, middle, large = table.rows
    tokens, width, codes = 128, 8, 2**17
    assert large["svq_reference_flops"] == tokens * (width * 128 + 128 * codes + codes * width)
    assert [row["codes"] for row in table.rows] == [16, 512, codes]
    assert small["svq_raw_seconds"] > 0 and small["svq_raw_memory"] > 0
    assert large["svq_raw_result"] == large["svq_reference_result"] == "out of memory"
    assert "svq_raw_seconds" not in large and large["svq_raw_flops"] > large["svq_reference_flops"]


@pytest.mark.parametrize(
    "question, answer",
    [("echo", "echo"), ("sleep", "over 0.2 s"), ("die", "out of memory"), ("crash", "process ended with status 3")],
)
def test_a_worker_that_fails_answers_too(question, answer):
    with codebook.Worker(answers.answer, ()) as worker:
        assert worker.ask(question, 0.2 if question == "sleep" else 60) == answer


def test_a_worker_that_raises():
    with codebook.Worker(answers.answer, ()) as worker, pytest.raises(ValueError, match="no such thing"):
        worker.ask("raise", 60)


def test_markdown_and_csv_of_a_table():
    table = Table(
        {"name": "Name", "value": ("Value", ".1f"), "gone": "Gone"},
        [{"name": "a", "value": 1.25, "more": [1]}, {"name": "bb", "value": float("nan"), "gone": 2}],
        "Title",
        ["Note."],
    )
    assert (
        table.markdown()
        == """**Title**

| Name | Value | Gone |
|------|------:|-----:|
| a    |   1.2 |    – |
| bb   |     – |    2 |

- Note."""
    )
    assert table.csv().splitlines() == ["name,value,gone", "a,1.25,", "bb,nan,2"]
    assert json.loads(table.json(torch="2"))["rows"][0]["more"] == [1]


# the command line


def test_command_line_writes_tables_with_provenance(tmp_path, capsys):
    run_tool("benchmark", "cost", "-d", "taxibj", "--csv", tmp_path / "a" / "t.csv", "--json", tmp_path / "t.json")
    shown = capsys.readouterr().out
    assert shown.startswith("**Parameters and FLOPs (Table 12)**") and f"torch {torch.__version__}" in shown
    rows = list(csv.DictReader((tmp_path / "a" / "t.csv").open()))
    assert [r["translator"] for r in rows[:3]] == ["ConvNeXt", "gSTA", "ConvLSTM"] and rows[0]["agrees"] == "yes"
    record = json.loads((tmp_path / "t.json").read_text())
    assert record["command"].startswith("tools/benchmark.py cost -d taxibj") and record["threads"] == 1
    assert record["rows"][0]["reference_flops"] == 3_721_756_672


@pytest.mark.parametrize(
    "words, message",
    [
        (["cost", "-d", "taxi"], "Did you mean 'taxibj'"),
        (["step", "--model_type", "gsta2", "--in_shape", "2", "1", "16", "16"], "gsta2"),
        (["quantizer", "--device", "cuda"], "Use --device cpu"),
        (["quantizer", "--rounds", "0"], "must be 1 or more"),
        (["quantiser"], "invalid choice"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="one of the errors is a missing GPU")
def test_command_line_errors(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        run_tool("benchmark", *words)
    assert message in f"{end.value} {capsys.readouterr().err}"


def test_a_benchmark_is_one_function(registries, capsys):
    """Registered, it is a command with a flag for each parameter."""

    @register_benchmark("own", "what a user measures")
    def own(
        sizes: Sequence[int] = (1, 2),
        shape: tuple[int, int] = (3, 4),
        limit: float | None = None,
        place: str = "here",
        more: Mapping = {"width": 8},
        *,
        device: str = "cpu",
        progress=None,
    ) -> Table:
        progress("measuring")
        return Table({"sizes": "Sizes"}, [{"sizes": f"{sizes} {shape} {limit} {place} {more} {device}"}])

    for words, expected in (
        ([], "(1, 2) (3, 4) None here {} cpu"),
        (
            ["--sizes", "5", "6", "7", "--shape", "8", "9", "--limit", "0.5", "--place", "there", "--width", "16"],
            "[5, 6, 7] [8, 9] 0.5 there {'width': 16} cpu",
        ),
    ):
        run_tool("benchmark", "own", *words)
        assert expected in capsys.readouterr().out
    assert list_benchmarks().keys() >= {"codebook", "cost", "quantizer", "quantizers", "ssim", "step"}
    with pytest.raises(ValueError, match=r"benchmark name 'ssim' is taken by openstl_svq\.benchmarks\.ssim"):
        register_benchmark("ssim", "another")(Table)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 101])
def test_students_quantile_is_scipys(freedom):
    for probability in (0.5, 0.95, 0.995):
        expected = stats.t.ppf((1 + probability) / 2, freedom)
        assert abs(student_quantile(probability, freedom) / expected - 1) < 1e-9
