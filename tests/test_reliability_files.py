"""Files that are not what was written: checkpoints and caches with flipped bits, zeros, missing ends."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from openstl_svq import files
from openstl_svq.data import cache
from openstl_svq.data.frames import ArrayFrames
from openstl_svq.training import checkpoint


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(a, b) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return torch.equal(a, b) if torch.is_tensor(a) else a == b


def test_a_checkpoint_with_a_flipped_bit_is_refused_or_equal(tmp_path):
    path = tmp_path / "a.ckpt"
    checkpoint.save({"state_dict": nn.Linear(20, 30).state_dict(), "epoch": 3, "name": "x"}, path)
    good, content = checkpoint.load(path), path.read_bytes()
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(content)), 400):
        path.write_bytes(flipped(content, bit))
        try:
            assert same(checkpoint.load(path), good), f"bit {bit} changes what is loaded"
        except ValueError as error:
            assert "truncated or damaged" in str(error), (bit, error)
            refused += 1
    assert refused > 200  # the rest lies in padding and in fields that say nothing of the content


@pytest.mark.parametrize("text", ["epoch: 3\n", "PK but not an archive", "\x89PNG"])
def test_what_is_no_checkpoint_is_called_so(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="notes.txt is no checkpoint"):
        checkpoint.load(path)


class Counted(ArrayFrames):
    count = 0  # of frames read

    def read(self, indices):
        values = super().read(indices)
        Counted.count += len(values)
        return values


@pytest.fixture
def cached(tmp_path):
    """The frames of one cached series, opened anew by every call."""
    Counted.count = 0
    values = np.random.default_rng(0).standard_normal((40, 1, 4, 5)).astype(np.float32)

    def build():
        return cache.cache_frames(Counted(values), beside=tmp_path, name="x", key=1, memory_limit=0)

    build.values = values
    return build


DAMAGES = {
    "flipped bit": lambda content: flipped(content, 8 * 700 + 3),
    "zeros": lambda content: content[:128] + bytes(len(content) - 128),
    "zeros at the end": lambda content: content[:-900] + bytes(900),
    "short": lambda content: content[:-300],
    "empty": lambda content: b"",
    "without check sums": lambda content: content[:-160],
    "another type": lambda content: content.replace(b"<f4", b"<i4"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_built_again(cached, damage):
    path = cached().path
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](good))
    with pytest.warns(UserWarning, match="is built again"):
        again = cached()
    assert path.read_bytes() == good and (again.read(np.arange(40)) == cached.values).all()


def test_a_sound_cache_is_not_built_again(cached):
    cached()
    assert Counted.count == 40
    assert (cached().read(np.array([3, 1])) == cached.values[[3, 1]]).all() and Counted.count == 40


def test_a_frame_that_changes_under_a_run_is_refused_when_it_is_read(cached):
    frames = cached()
    frames.path.write_bytes(flipped(frames.path.read_bytes(), 8 * (128 + 7 * 80) + 30))  # in frame 7
    assert (frames.read(np.array([6, 8])) == cached.values[[6, 8]]).all()
    with pytest.raises(ValueError, match="has changed on disk.*built anew"):
        frames.read(np.array([5, 7]))


@pytest.mark.parametrize("content", [b"", b"\0" * 80, b"[[1.0], [2.0]]", b'{"statistics": [[1.0], [2.5]], "crc32": 1}'])
def test_damaged_statistics_are_computed_again(cached, content):
    frames = cached()
    good = cache.cached_statistics(frames)
    (kept,) = frames.path.parent.glob("*.json")
    before = kept.read_bytes()
    kept.write_bytes(content)
    for a, b in zip(cache.cached_statistics(frames), good):
        assert (a == b).all()
    assert kept.read_bytes() == before


def test_a_file_is_on_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        original = getattr(files.os, name)
        monkeypatch.setattr(files.os, name, lambda *a, n=name, f=original: (order.append(n), f(*a))[1])
    with files.replacing(tmp_path / "a.json") as partial:
        partial.write_text("1")
    assert order == ["fsync", "replace"]
