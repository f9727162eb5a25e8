"""Figures: what they compute from arrays, and all of them from a run through the command line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import run_tool

from openstl_svq import config as configuration
from openstl_svq.figures import draw_figures, list_figures, register_figure
from openstl_svq.figures.codebook import plot_codebook
from openstl_svq.figures.coverage import coverage_error
from openstl_svq.figures.errors import plot_error_by
from openstl_svq.figures.latents import plot_latent_maps
from openstl_svq.figures.spectra import power_spectrum
from openstl_svq.figures.trained_run import TrainedRun
from openstl_svq.figures.weights import plot_weights
from openstl_svq.methods import get_method
from openstl_svq.training import checkpoint

ROOT = Path(__file__).parents[1]


def untrained(path, *words):
    """A checkpoint of a small model on the packaged weather, with the weights that it began with."""
    torch.manual_seed(0)
    small = ["hid_S=4", "hid_T=8", "N_S=2", "N_T=2"]
    given = ["-d", "weather_sample_4_4_s6", "-m", "simvp_svq", *words, "--cfg_options", *small]
    config = vars(configuration.resolve([*given, "quantizer_kwargs.codebook_size=50"]))
    mean, std = torch.full((1, 1, 1, 1), 280.0), torch.full((1, 1, 1, 1), 20.0)
    kwargs = {**config, "steps_per_epoch": 1, "test_mean": mean, "test_std": std, "save_dir": str(path.parent)}
    method = get_method("simvp_svq").cls(**kwargs)
    checkpoint.save({"state_dict": method.state_dict(), "hyper_parameters": dict(method.hparams)}, path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "small" / "checkpoints"
    place.mkdir(parents=True)
    return TrainedRun(untrained(place / "best.ckpt"), samples=3)


def test_every_figure_is_drawn_from_a_run(run, tmp_path):
    said = []
    paths = draw_figures([run], None, tmp_path, said.append)
    assert {p.stem for p in paths} | {line.partition(":")[0] for line in said} == set(list_figures())
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)
    assert len(paths) >= 8


def test_several_runs_are_compared_or_drawn_by_themselves(run, tmp_path):
    paths = draw_figures([run, run], ["spectra", "latent_density"], tmp_path)
    assert [p.name for p in paths] == ["spectra.png", "latent_density_small.png", "latent_density_small.png"]


def test_what_a_run_has_not_is_said(tmp_path):
    plain = TrainedRun(untrained(tmp_path / "plain.ckpt", "--quant_position", "none"), samples=2)
    with pytest.raises(ValueError, match="no quantizer"):
        draw_figures([plain], ["weights"], tmp_path)
    said = []
    assert "error_maps" in {p.stem for p in draw_figures([plain], None, tmp_path, said.append)}
    assert any(line.startswith("weights: left out: ") for line in said)


def test_arrays_of_a_run(run):
    inputs, truth, prediction = run.forecasts
    assert inputs.shape == truth.shape == prediction.shape == (3, 4, 1, 32, 64)
    assert truth.min() > 200 and truth.max() < 330, "kelvin"
    before, after = run.latents
    assert before.shape == after.shape == (12, 4, 16, 32)
    with torch.no_grad():
        expected = run.quantizer(torch.from_numpy(before)).quantized
    assert np.allclose(after, expected, atol=1e-5)
    assert np.allclose(run.weights @ run.codebook, run.quantizer(run.tokens).quantized[0, :, 0].T.detach(), atol=1e-4)
    assert list(run.lead_times[0]) == [6, 12, 18, 24] and run.months.shape == (3, 4)
    share, codes = run.active_codes(count=5)
    assert share.shape == (5, 16, 32) and 0 <= share.min() <= share.max() <= 1 and len(set(codes.tolist())) == 5
    assert [len(v) for v in run.latent_coordinates] == [16, 32]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(2, 33), st.integers(0, 10_000))
def test_a_spectrum_sums_to_the_variance_along_rows(width, seed):
    frames = np.random.default_rng(seed).normal(size=(3, 5, width))
    assert np.isclose(power_spectrum(frames).sum(), frames.var(-1).mean())


def test_a_wave_has_the_power_of_its_number():
    wave = 3 * np.cos(2 * np.pi * 5 * np.arange(64) / 64)
    power = power_spectrum(np.tile(wave, (4, 1)))
    assert np.isclose(power[4], 4.5) and np.isclose(power.sum(), 4.5)


def test_sparse_regression_needs_fewer_codes_than_clustering():
    few, many = coverage_error(6, 24, 3, samples=100), coverage_error(6, 96, 3, samples=100)
    assert all(b < a for a, b in zip(few, many)), "more codes, less error"
    assert few[1] < many[0], "three of 24 random codes beat the nearest of 96 fitted ones"
    assert coverage_error(4, 16, 4, samples=50)[1] < 1e-6, "as many codes as dimensions are a basis"


def test_ticks_of_errors_stand_where_the_values_are():
    months = {"model": (list(range(1, 13)), [1.0] * 12)}
    leads, latitudes = {"model": ([6, 12], [1, 2])}, {"model": ([-60, 0, 60], [1, 2, 3])}
    figure = plot_error_by({"lead time (h)": leads, "latitude": latitudes, "month": months}, "m s**-1")
    figure.draw_without_rendering()
    lead, latitude, month = figure.axes
    assert lead.get_xticks().tolist() == [6, 12] and lead.get_ylabel() == "RMSE (m s⁻¹)"
    assert "60°S" in [text.get_text() for text in latitude.get_xticklabels()]
    assert "".join(text.get_text() for text in month.get_xticklabels()) == "JFMAMJJASOND"


def test_latent_maps_have_north_above():
    before = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    figure = plot_latent_maps(before, -before, lat=np.array([-60.0, 0, 60]), lon=np.array([0.0, 90, 180, 270]))
    first = figure.axes[0]
    assert first.get_ylim() == (-90, 90) and first.get_title() == "channel 0: 0 to 11"
    assert np.array_equal(np.asarray(first.collections[0].get_array()), before[0])


def test_the_packaged_model_is_analysed_like_a_run(tmp_path, monkeypatch):
    """And its figures are not put into the package."""
    monkeypatch.chdir(tmp_path)
    run = TrainedRun("weather_sample", samples=1)
    assert run.name == "weather_sample" and run.folder.resolve() == tmp_path / "weather_sample"
    (path,) = draw_figures([run], ["spectra"], run.folder / "figures")
    assert path.resolve().is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plot_weights({}), "no weights"),
        (lambda: plot_weights({"a": (np.ones(5), np.arange(5))}), "weights.* not all equal"),
        (lambda: plot_codebook(np.ones((4, 3)), np.ones((4, 2))), "(N, C)"),
        (lambda: plot_latent_maps(np.ones((4, 3)), np.ones((4, 3))), "(C, H, W)"),
        (lambda: plot_error_by({"month": {}}), "no error to draw"),
    ],
)
def test_arrays_that_cannot_be_drawn(draw, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        draw()


def test_unknown_and_taken_names():
    with pytest.raises(ValueError, match="unknown figure 'spectrum'. Did you mean 'spectra'"):
        draw_figures([], ["spectrum"], Path("."))
    with pytest.raises(ValueError, match="'spectra' is taken by .*spectra"):
        register_figure("spectra", "another")(lambda runs: None)
    with pytest.raises(ValueError, match="'weights' needs a trained run"):
        draw_figures([], ["weights"], Path("."))


def test_the_command_line(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    run_tool("analyse", tmp_path / "run", "--only", "error_maps", "--samples", "2")
    assert (tmp_path / "run" / "figures" / "error_maps.png").is_file()
