"""What a regular installation carries."""

from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[1]


def test_every_folder_with_code_is_a_package():
    packages = set(find_packages(str(ROOT), include=["openstl_svq", "openstl_svq.*"]))
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "openstl_svq").rglob("*.py")}
    assert folders == packages


def test_the_sample_is_packaged_and_small():
    files = list((ROOT / "openstl_svq" / "data").glob("weather_sample/weather/*/*.nc"))
    assert files and sum(f.stat().st_size for f in files) <= 4 * 2**20
    assert "weather_sample/weather/*/*.nc" in (ROOT / "setup.py").read_text()
