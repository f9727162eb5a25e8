"""The registry: names, settings, third parties."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from openstl_svq import quantizers
from openstl_svq.quantizers import Quantizer, QuantizerOutput, build_quantizer, list_quantizers, register_quantizer


def test_every_name_has_a_one_line_description():
    assert "svq" in list_quantizers()
    assert list(list_quantizers()) == sorted(list_quantizers())
    for name, description in list_quantizers().items():
        assert description and "\n" not in description, name


def test_third_party(registries):
    @register_quantizer("scaled", "multiplies by a number")
    class Scaled(Quantizer):
        def __init__(self, dim, factor=2.0):
            super().__init__(dim)
            self.factor = factor

        def quantize(self, z, *, return_codes, return_usage):
            return QuantizerOutput(z * self.factor, torch.zeros(()))

    assert list_quantizers()["scaled"] == "multiplies by a number"
    output = build_quantizer("scaled", 3, factor=4.0)(torch.ones(1, 3, 2, 2))
    assert (output.quantized == 4).all()
    assert register_quantizer("scaled", "read again")(Scaled) is Scaled  # as a configuration file that is read twice
    other = type("Other", (Scaled,), {})
    with pytest.raises(ValueError, match=r"'scaled' is taken by .*test_quantizers_registry.*Scaled.*override=True"):
        register_quantizer("scaled", "another")(other)
    assert register_quantizer("scaled", "another", override=True)(other) is other
    assert list_quantizers()["scaled"] == "another"
    with pytest.raises(ValueError, match="derive it from Quantizer"):
        register_quantizer("linear", "not one")(torch.nn.Linear)


def test_unknown_name_lists_what_exists():
    with pytest.raises(ValueError, match="unknown quantizer 'svg'. Did you mean 'svq'.*Available: .*svq"):
        build_quantizer("svg", 4)


def test_unknown_setting_names_the_nearest():
    with pytest.raises(ValueError, match="svq: 'codebok_size'. Did you mean 'codebook_size'.*Available: .*hidden_dim"):
        build_quantizer("svq", 4, codebok_size=3)


HALVE = """
from .base import Quantizer, QuantizerOutput, zero_loss
from .registry import register_quantizer


@register_quantizer("halve", "divides by two")
class Halve(Quantizer):
    def quantize(self, z, *, return_codes, return_usage):
        return QuantizerOutput(z / 2, zero_loss(z))
"""


def test_a_new_quantizer_is_one_file(tmp_path):
    package = Path(quantizers.__file__).parents[1]
    shutil.copytree(package / "quantizers", tmp_path / "openstl_svq" / "quantizers")
    for name in ("__init__.py", "naming.py"):
        shutil.copy(package / name, tmp_path / "openstl_svq")
    (tmp_path / "openstl_svq" / "quantizers" / "halve.py").write_text(HALVE)
    code = "from openstl_svq.quantizers import Halve, list_quantizers; print(list_quantizers()['halve'])"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert printed.stdout == "divides by two\n"
