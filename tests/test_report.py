"""Reports: one page that holds all that it shows, of runs, sweeps and tables of the paper; in a browser where there is one."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import chromium
from matplotlib.figure import Figure
from running import run_tool

from openstl_svq import config as configuration
from openstl_svq.benchmarks.tables import Table
from openstl_svq.figures.style import save
from openstl_svq.report import page as parts
from openstl_svq.report import write_report
from openstl_svq.sweep import results

ROOT = Path(__file__).parents[1]
SCORES = {
    "model": {"mse": 1.5, "mse_by_lead": [1.0, 2.0], "mae": 0.9, "ssim": 0.8},
    "persistence": {"mse": 3.0, "mse_by_lead": [2.0, 4.0], "mae": 1.25},
}
PROVENANCE = {
    "date": "2026-01-02T03:04:05+00:00",
    "dataset": "weather_sample",
    "method": "simvp_svq",
    "protocol": "strict",
    "seed": 0,
    "epochs": 2,
    "checkpoint": "/home/somebody/runs/best.ckpt",
    "torch": "2.9",
    "device": "cpu (1 threads)",
    "parameters": 62_600,
    "flops": 28_000_000,
    "train_seconds": 3725.0,
}


def picture(path, width=6, height=3):
    figure = Figure(figsize=(width, height), dpi=60)
    figure.subplots().plot([0, 1])
    return save(figure, path)


def a_run(path, *words, scores=SCORES, **provenance):
    """The folder of a run, as tools/train.py leaves it."""
    config = vars(configuration.resolve(["-d", "weather_sample", "-m", "simvp_svq", *words]))
    path.mkdir(parents=True)
    (path / "config.py").write_text(
        configuration.dump(config, "command: /home/somebody/openstl_svq/commands/train.py -d weather_sample --lr <0.5>")
    )
    if scores:
        record = {"scores": scores, "units": "K", "provenance": {**PROVENANCE, "seed": config["seed"], **provenance}}
        (path / "metrics.json").write_text(json.dumps(record))
        picture(path / "forecast.png")
    return path


def a_sweep(folder):
    """Two quantizers and three seeds, of which one run failed."""
    rows = []
    for seed in range(3):
        for number, name in enumerate(("none", "svq")):
            words = ["--seed", str(seed)] + (["--quant_position", "none"] if name == "none" else [])
            run = f"quantizer-{name}_seed-{seed}"
            row = {"quantizer": name, "seed": seed, "state": "failed", "run": run}
            if (seed, name) != (2, "svq"):
                mse = 1 + number + seed / 10
                a_run(folder / run, *words, scores={"model": {"mse": mse, "mae": mse / 2}})
                row |= {
                    "state": "finished",
                    "mse": mse,
                    "mae": mse / 2,
                    "train_seconds": 60.0,
                    "dataset": "weather_sample",
                }
            rows.append(row)
    (folder / "logs").mkdir()
    (folder / "logs" / "quantizer-svq_seed-2.log").write_text("epoch 1\nerror: the disk is full\n")
    results.write(results._table(["quantizer", "seed"], rows), folder / "results.csv")
    picture(folder / "curves.png")
    return folder


class Reader(HTMLParser):
    """Text, pictures and addresses of a page."""

    def __init__(self, path):
        super().__init__()
        self.words, self.images, self.addresses, self.open = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [values[key] for key in ("href", "src") if key in values]
        if tag == "img":
            self.images.append(values)
        if tag not in ("img", "meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = a_run(tmp_path_factory.mktemp("runs") / "mine", "--lr", "0.25", "--seed", "0")
    picture(folder / "training.png", 12)
    picture(folder / "figures" / "spectra.png", 3)
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return a_sweep(tmp_path_factory.mktemp("sweeps") / "both")


def test_a_run_on_one_page(run, tmp_path):
    page = Reader(write_report(run, tmp_path / "page.html"))
    assert all(address.startswith(("#", "data:")) for address in page.addresses), "nothing lies elsewhere"
    assert len(page.images) == 4 and all(image["alt"] for image in page.images)
    text = page.text
    for said in (
        "simvp_svq on weather_sample: mine",
        "12 frames from the 12 before, 32 x 64 points. Test MSE 1.5 K², against 3 of persistence; seed 0.",
        "python tools/train.py -d weather_sample --lr <0.5>",
        "mse K² 1.5 3 0.500",
        "62.6 thousand",
        "1 h 02 min",
        "lr 0.25",
        "torch 2.9",
        "power spectra of forecast and truth",
    ):
        assert said in text, said
    assert "/home/somebody" not in text, "the places of program and checkpoint are nobody's matter"


def test_a_run_without_scores_says_so(tmp_path):
    folder = a_run(tmp_path / "new", scores=None)
    page = Reader(write_report(folder))
    assert "None yet: the run has not been tested." in page.text and "Not tested yet." in page.text
    assert (folder / "report.html").is_file()


def test_many_scores_are_folded_up(tmp_path):
    many = {"mse": 1.0} | {f"mse_u {level}": 2.0 for level in range(20)}
    text = (write_report(a_run(tmp_path / "run", scores={"model": many}))).read_text()
    first, folded = text.split("All 21 scores, by variable and level")
    assert "mse_u 7" not in first and "mse_u 7" in folded


def test_a_sweep_on_one_page(sweep, tmp_path):
    page = Reader(write_report(sweep, tmp_path / "page.html"))
    text = page.text
    for said in (
        "5 of 6 runs are finished, 2 settings over 3 seeds (0, 1, 2).",
        "1 of 6 runs.",
        "quantizer-svq_seed-2 failed: error: the disk is full",
        "none 3 1.1 (0.8516 to 1.348)",
        "svq 2 2.05 (1.415 to 2.685)",
        "5 min of training in 5 runs",
        "All 6 runs",
    ):
        assert said in text, said
    assert len(page.images) == 4, "scores, curves, and a forecast of each setting"
    settings = text[text.index("Settings that all runs share") : text.index("All settings accel")]
    assert "method 'simvp_svq'" in settings and " seed " not in settings and "quant_position" not in settings


def test_a_sweep_of_which_nothing_is_finished_is_reported_too(tmp_path):
    rows = [{"seed": 0, "state": "failed", "run": "seed-0"}]
    results.write(results._table(["seed"], rows), tmp_path / "results.csv")
    text = Reader(write_report(tmp_path)).text
    assert "0 of 1 runs are finished" in text and "seed-0 failed: nothing was printed" in text


def test_a_folder_of_runs_that_were_trained_one_by_one(tmp_path):
    for lr in ("0.1", "0.2"):
        a_run(tmp_path / f"lr{lr}", "--lr", lr)
    assert "2 of 2 runs are finished, 2 settings over seed 42" in Reader(write_report(tmp_path)).text


def test_a_table_of_the_paper_stands_in_its_report(sweep, tmp_path):
    table = Table({"row": "row", "here": "here", "paper": "paper"}, [{"row": "gSTA", "here": "1.1", "paper": 2.0}])
    table.title, table.notes = "Table 3: translators", ["Scale: sample."]
    path = sweep / "table.md"
    path.write_text(table.markdown())
    text = Reader(write_report(sweep, tmp_path / "page.html")).text
    path.unlink()
    assert "Table 3: translators" in text and "Beside the paper row here paper gSTA 1.1 2.0 Scale: sample." in text


def test_folders_that_are_neither(tmp_path):
    with pytest.raises(ValueError, match="neither the folder of a run .* nor of a sweep"):
        write_report(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        write_report(tmp_path / "none")


@pytest.mark.parametrize(
    "value, said", [(999, "999 bytes"), (1000, "1.0 kB"), (2_345_678, "2.3 MB"), (0, "0 bytes"), (7e12, "7.0 TB")]
)
def test_sizes(value, said):
    assert parts.size(value) == said


def test_the_command_line(run, tmp_path, capsys):
    run_tool("report", run, "--out", tmp_path / "x.html")
    assert capsys.readouterr().out.strip() == str(tmp_path / "x.html") and (tmp_path / "x.html").is_file()


@pytest.mark.browser
@pytest.mark.parametrize("of", ["run", "sweep"])
def test_in_chromium(of, request, tmp_path):
    """No console error, nothing fetched, every picture there, and no page wider than its window."""
    from playwright.sync_api import sync_playwright

    path = write_report(request.getfixturevalue(of), tmp_path / "page.html")
    said = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for width in (1280, 400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda asked: said.append(asked.url) if asked.url.startswith("http") else None)
            page.goto(path.as_uri())
            loaded = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
            assert loaded == [True] * 4, width
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            smallest = page.evaluate(
                "Math.min(...[...document.querySelectorAll('p, td, th')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
            )
            assert smallest >= 12, "pixels of the smallest text"
        browser.close()
    assert not said
