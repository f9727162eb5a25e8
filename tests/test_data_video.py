"""TaxiBJ, KTH, KittiCaltech and Human3.6M from OpenSTL's formats: windows, values, splits, bad input."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openstl_svq.data import cache, get_dataset, load_data, register_dataset, synthetic
from openstl_svq.data.formats.images import resize
from openstl_svq.data.formats.videos import _JPEG
from openstl_svq.data.splits import hold_out_end
from openstl_svq.data.windows import WindowDataset, sliding
from openstl_svq.training.data_module import ForecastData

pytestmark = pytest.mark.filterwarnings("ignore:.* of the full dataset")
SMALL = {"kth": {"in_shape": [10, 1, 32, 32]}, "human": {"in_shape": [4, 3, 64, 64]}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Every set, small."""
    root = tmp_path_factory.mktemp("video")
    synthetic.taxibj(root)
    synthetic.kth(root, frames=40, people=(1, 2, 15, 16, 17))
    synthetic.human(root, size=64)
    synthetic.kitticaltech(root)
    return root


def load(name, root, protocol="strict", **options):
    return load_data(name, 2, 2, 0, root, protocol=protocol, **{**SMALL.get(name, {}), **options})


# ---- all of them ----


@pytest.mark.parametrize("protocol", ["strict", "openstl", "strict+selection"])
@pytest.mark.parametrize("name", ["taxibj", "kth", "human", "kitticaltech"])
def test_windows_have_the_entrys_shapes_in_zero_to_one(root, name, protocol):
    entry = {**get_dataset(name).entry, **SMALL.get(name, {})}
    loaders = load(name, root, protocol)
    for loader in loaders:
        x, y = next(iter(loader))
        assert [*x.shape[1:]] == [entry["pre_seq_length"], *entry["in_shape"][1:]]
        assert [*y.shape[1:]] == [entry["aft_seq_length"], *entry["in_shape"][1:]]
        assert x.dtype == y.dtype == torch.float32 and x.min() >= 0 and x.max() <= 1 and x.std() > 0.01
        dataset = loader.dataset
        assert dataset.mean == 0 and dataset.std == 1 and dataset.data_name == name and dataset.target_times(0) is None
    assert (loaders[1].dataset is loaders[2].dataset) == (protocol != "strict")


@pytest.mark.parametrize("name", ["taxibj", "kth", "human", "kitticaltech"])
def test_strict_holds_out_part_of_the_training_data(root, name):
    plain = load(name, root, "openstl")[0].dataset
    train, validation, test = (x.dataset for x in load(name, root, val_fraction=0.25))
    parts = [{d[i][0].numpy().tobytes() for i in range(len(d))} for d in (train, validation)]
    whole = {plain[i][0].numpy().tobytes() for i in range(len(plain))}
    assert parts[0] and parts[1] and not parts[0] & parts[1] and parts[0] | parts[1] <= whole
    # not even single frames are shared
    frames = [{f.tobytes() for chunk, _ in d.frames() for f in chunk} for d in (train, validation)]
    assert not frames[0] & frames[1]
    tested = load(name, root, "openstl")[2].dataset
    assert len(test) == len(tested) and torch.equal(test[0][1], tested[0][1])


def test_other_sizes_than_those_of_the_full_dataset_are_named(root, registries, recwarn):
    train, _, test = load("kth", root, "openstl")
    found = len(train.dataset), len(test.dataset)
    (message,) = [str(w.message) for w in recwarn]
    assert message == (
        f"kth: {found[0]:,} windows to train and {found[1]:,} to test, where OpenSTL makes 4,940 and "
        "3,030 of the full dataset: scores on these data are not comparable with published ones."
    )
    recwarn.clear()
    load("kth", root, "strict")
    load("kth", root, "openstl", aft_seq_length=15)  # other lengths make other windows
    register_dataset(replace(get_dataset("kth"), full_sizes=found), override=True)
    load("kth", root, "openstl")
    assert not recwarn.list


def test_synthetic_sets_are_seeded(tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        synthetic.taxibj(tmp_path / folder, seed=seed)
        synthetic.human(tmp_path / folder, seed=seed, size=32, videos=(2, 1), windows=1)
    for name, options in (("taxibj", {}), ("human", {"in_shape": [4, 3, 32, 32]})):
        a, b, c = (load(name, tmp_path / f, "openstl", **options)[2].dataset[0][0] for f in "abc")
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_missing_data_say_where_they_were_looked_for(tmp_path):
    for name in ("taxibj", "kth", "human", "kitticaltech"):
        with pytest.raises(FileNotFoundError, match=f"(?s)^{name}: .*{tmp_path}.*make_sample_data.py -d {name}"):
            load(name, tmp_path)


# ---- windows ----


def test_sliding_lays_windows_from_the_end_of_each_video():
    video = np.array([0] * 7 + [1] * 5)
    assert sliding(video, 3, np.full(12, 3)).tolist() == [9, 4, 1]
    assert sliding(video, 3, np.full(12, 1)).tolist() == [9, 8, 7, 4, 3, 2, 1, 0]
    number = np.array([0, 1, 2, 4, 5, 6, 8, 0, 1, 2, 3, 4])
    assert sliding(video, 3, np.full(12, 3), number).tolist() == [9, 3, 0]
    assert sliding(video[:2], 3, np.full(2, 3)).tolist() == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.05, 0.6), st.integers(1, 5))
def test_nothing_is_on_both_sides_of_the_validation_split(groups, fraction, length):
    group, start = np.array(groups), np.arange(len(groups))
    try:
        training, validation = hold_out_end(group, start, length, fraction)
    except ValueError:
        assert len(set(groups)) == 1
        return
    assert len(training) and len(validation) and not set(training) & set(validation)
    if len(set(groups)) > 1:
        assert not set(group[training]) & set(group[validation])
        assert len(training) + len(validation) == len(groups)
    else:
        assert start[training].max() + length <= start[validation].min()


def test_too_few_windows_to_hold_out():
    with pytest.raises(ValueError, match="3 training windows are too few to hold out 0.1"):
        hold_out_end(np.zeros(3), np.arange(3), 8, 0.1)


# ---- TaxiBJ ----


def test_taxibj_is_brought_to_zero_to_one(root):
    with np.load(root / "taxibj" / "dataset.npz") as file:
        x, y = file["X_test"], file["Y_test"]
    test = load("taxibj", root)[2].dataset
    assert len(test) == len(x)
    assert_close(torch.stack([test[i][0] for i in range(len(x))]), (x + 1) / 2)
    assert_close(torch.stack([test[i][1] for i in range(len(x))]), (y + 1) / 2)


def test_taxibj_augmentation_flips_training_windows_alone(root):
    torch.manual_seed(0)
    plain, flipped = (load("taxibj", root, "openstl", use_augment=on)[0].dataset for on in (False, True))
    kinds = {
        "same" if torch.equal(a[0], b[0]) else "flipped" if torch.equal(a[0], b[0].flip(-1)) else "other"
        for a, b in ((flipped[i], plain[i]) for i in range(20))
    }
    assert kinds == {"same", "flipped"}


def test_bad_taxibj_files(root, tmp_path):
    path = tmp_path / "taxibj" / "dataset.npz"
    path.parent.mkdir()
    with np.load(root / "taxibj" / "dataset.npz") as file:
        good = dict(file)

    def fails(message, **changed):
        np.savez(path, **{k: v for k, v in {**good, **changed}.items() if v is not None})
        with pytest.raises(ValueError, match=message):
            load("taxibj", tmp_path)

    fails("no array Y_train; it has", Y_train=None)
    fails(r"X_test has shape .* \('N', 4, 2, 32, 32\) is needed", X_test=good["X_test"][:, :3])
    fails("X_test has 12 windows, Y_test 11", Y_test=good["Y_test"][:-1])
    for value in (5.0, np.nan):
        wrong = good["X_train"].copy()
        wrong[3, 1, 0, 5, 5] = value
        fails(r"X_train has values beyond \[-1, 1\] or NaN", X_train=wrong)
    np.savez(path, **good)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cut off"):
        load("taxibj", tmp_path)


def test_processes_load_what_takes_longer_to_read_than_to_move(root):
    def workers(name, asked=None, batch_size=2):
        loaders = load_data(name, batch_size, batch_size, asked, root, **SMALL.get(name, {}))
        return {loader.num_workers for loader in loaders}

    assert workers("taxibj") == {0} and workers("taxibj", asked=1) == {1}
    assert workers("taxibj", batch_size=32) == {0} and workers("taxibj", batch_size=100) == {4}
    for name in ("kth", "human", "kitticaltech"):  # files, or decoded when read
        assert workers(name) == {4} and workers(name, asked=0) == {0}


class Seen(pl.LightningModule):
    """Keeps the batches that each stage of a run gives it."""

    def __init__(self):
        super().__init__()
        self.weight, self.batches = torch.nn.Parameter(torch.zeros(())), {}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch, index):
        self.batches.setdefault(self.trainer.state.stage.value, []).append(batch)
        return self.weight * 0

    validation_step = test_step = training_step


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("name", ["taxibj", "kth", "human", "kitticaltech"])
def test_a_run_is_given_the_windows(root, name, augment):
    """Whether batches are moved as bytes and decoded afterwards, or as the windows themselves."""
    loaders = load(name, root, val_fraction=0.3, use_augment=augment)
    data = ForecastData(*loaders, {"dataname": name, "seed": 0, "metrics": ["mse"], "use_augment": augment})
    model = Seen()
    trainer = pl.Trainer(
        max_epochs=1, limit_train_batches=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    split = dict(zip(("train", "validate", "test"), (loader.dataset for loader in loaders)))
    for stage in ("validate", "test"):
        x, y, *_ = model.batches[stage][0]
        for k in range(len(x)):
            assert all(torch.equal(*pair) for pair in zip((x[k], y[k]), split[stage][k]))
    kept = {x.numpy().tobytes() for x, _ in split["train"]}
    drawn = [x for batch in model.batches["train"] for x in batch[0]]
    assert len(drawn) == 4 and all(x.dtype == torch.float32 for x in drawn)
    if not augment:
        assert all(x.numpy().tobytes() in kept for x in drawn)
    bytes_moved = next(iter(data.train_dataloader()))[0].dtype == torch.uint8
    assert bytes_moved == (not augment and name != "taxibj")


@pytest.mark.parametrize("name", ["taxibj", "kth", "human", "kitticaltech"])
def test_several_windows_are_those_read_one_by_one(root, name):
    dataset = load(name, root)[0].dataset
    places = [3, 0, 3, len(dataset) - 1]
    for several, place in zip(dataset.__getitems__(places), places):
        assert all(torch.equal(*pair) for pair in zip(several, dataset[place]))


class Darker(WindowDataset):
    def __getitem__(self, index):
        return tuple(part / 2 for part in super().__getitem__(index))


@pytest.mark.parametrize("name", ["taxibj", "kth"])
def test_a_subclass_may_give_windows_in_another_way(root, name):
    dataset = load(name, root)[0].dataset
    expected = [part / 2 for part in dataset[1]]
    dataset.__class__ = Darker
    assert not dataset.as_bytes
    for several in (dataset[1], dataset.__getitems__([1])[0]):
        assert all(torch.equal(*pair) for pair in zip(several, expected))


# ---- KTH ----


def test_kth_windows_follow_openstls_steps(root):
    train, _, test = (x.dataset for x in load("kth", root, "openstl"))
    # 40 frames: one window of 30 in a slow clip; in a fast one they end at frames 40, 37, 34, 31.
    assert len(test) == 4 * 1 + 2 * 4 and len(train) == 4 * len(test)
    with Image.open(root / "kth" / "running" / "person17_running_d1_uncomp" / "image-0011.jpg") as image:
        expected = resize(np.asarray(image)[..., 0], (32, 32), "bilinear") / 255
    # Windows are laid from the end: the first is the last of the last person in the last category, running.
    assert_close(test[0][0][0, 0], expected)


def test_kth_windows_never_span_a_missing_frame(root, tmp_path):
    shutil.copytree(root / "kth", tmp_path / "kth")
    clip = tmp_path / "kth" / "boxing" / "person17_boxing_d1_uncomp"
    (clip / "image-0015.jpg").unlink()
    assert len(load("kth", tmp_path)[2].dataset) == len(load("kth", root)[2].dataset) - 1


def test_kth40_asks_for_longer_clips(root):
    with pytest.raises(ValueError, match="960 frames under .* and no 50 consecutive ones"):
        load("kth40", root)


def test_damaged_images_are_named(root, tmp_path):
    shutil.copytree(root / "kth", tmp_path / "kth")
    path = tmp_path / "kth" / "running" / "person17_running_d1_uncomp" / "image-0012.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="image-0012.jpg cannot be read"):
        load("kth", tmp_path)
    Image.new("L", (80, 60)).save(path)
    with pytest.raises(
        ValueError, match=r"image-0012.jpg gives a frame of shape \(60, 80\), the others \(120, 160\); all must"
    ):
        load("kth", tmp_path)


def test_kth_is_decoded_once_and_kept_as_bytes(root, tmp_path, monkeypatch):
    """On disk where it is large, with the windows of memory; new images make a new copy."""
    expected = load("kth", root)[0].dataset[0]
    shutil.copytree(root / "kth", tmp_path / "kth")
    monkeypatch.setattr(cache, "IN_MEMORY", 0)

    def kept():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "kth" / ".openstl_svq_cache").glob("*.npy")}

    for window, again in zip(expected, load("kth", tmp_path)[0].dataset[0]):
        assert_close(again, window)
    first = kept()
    images = len(list((tmp_path / "kth").rglob("*.jpg")))
    assert len(first) == 2  # of those who train, and of those who test
    assert sum(path.stat().st_size for path in first) == pytest.approx(images * 120 * 160, rel=1e-3)
    load("kth", tmp_path)
    assert kept() == first
    path = tmp_path / "kth" / "running" / "person01_running_d1_uncomp" / "image-0012.jpg"
    shutil.copy(path.with_name("image-0013.jpg"), path)
    load("kth", tmp_path)
    assert kept().items() > first.items()


# ---- Human3.6M ----


def test_human_reads_every_fifth_frame_in_openstls_order_of_channels(root):
    test = load("human", root)[2].dataset
    x, y = test[2]
    names = [f"S4_Walking.1_{11 + 5 * k:06d}.jpg" for k in range(8)]
    expected = np.stack([np.asarray(Image.open(root / "human" / "images" / n))[..., ::-1] for n in names])
    assert_close(torch.cat([x, y]), (expected.transpose(0, 3, 1, 2) / 255).astype(np.float32))
    frames = np.concatenate([chunk for chunk, _ in test.frames()])
    assert len(frames) == 13 == len({f.tobytes() for f in frames})  # windows overlap, frames come once


def test_human_takes_unequal_lengths_right(root):
    test = load("human", root, aft_seq_length=2)[2].dataset
    longer = load("human", root)[2].dataset
    assert test[0][1].shape[0] == 2 and torch.equal(test[0][1], longer[0][1][:2])


def test_human_is_resized_like_opencv():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    up = resize(image, (64, 64), "bicubic")

    # OpenCV's bicubic has a = -0.75; one pixel by hand, at the centre of column 10 and row 20 of the new grid
    def weights(t):
        d = np.abs(np.array([1 + t, t, 1 - t, 2 - t]))
        return np.where(d <= 1, 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4))

    sy, sx = 20.5 * 40 / 64 - 0.5, 10.5 * 50 / 64 - 0.5
    patch = image[int(sy) - 1 : int(sy) + 3, int(sx) - 1 : int(sx) + 3, 1].astype(float)
    assert_close(up[20, 10, 1], weights(sy % 1) @ patch @ weights(sx % 1), rtol=1e-4)


def test_bad_human_lists(root, tmp_path):
    shutil.copytree(root / "human", tmp_path / "human")
    image = tmp_path / "human" / "images" / "S2_Walking.1_000021.jpg"
    image.rename(tmp_path / "elsewhere.jpg")
    with pytest.raises(FileNotFoundError, match="train.txt, line 7 needs .*S2_Walking.1_000021.jpg"):
        load("human", tmp_path)
    (tmp_path / "human" / "train.txt").write_text("images/S1_Walking.1_\n")
    with pytest.raises(ValueError, match="line 1: .* is needed, got 'images/S1_Walking.1_'"):
        load("human", tmp_path)
    (tmp_path / "human" / "train.txt").write_text("")
    with pytest.raises(ValueError, match="lists no windows"):
        load("human", tmp_path)


# ---- KittiCaltech ----


def write_hkl(folder, split, images, sources, layout="hickle 2"):
    """As hickle lays them out, with h5py."""
    h5py = pytest.importorskip("h5py")
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"X_{split}.hkl", "w") as file:
        (file if layout == "hickle 2" else file.create_group("data")).create_dataset("data_0", data=images)
    with h5py.File(folder / f"sources_{split}.hkl", "w") as file:
        if layout == "hickle 2":
            file.create_dataset("data_0", data=np.array(sources, dtype="S"))
        else:
            group = file.create_group("data")
            for k, source in enumerate(sources):
                group.create_dataset(f"data{k}", data=np.frombuffer(source.encode(), "S1")[None])
            file.create_dataset("hickle_types_table/0", data=np.array([[b"x"]]))


def write_seq(path, images):
    """A video as Caltech's: a header, then JPEG images with their length before and a time stamp after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"\xed\xfe\x00\x00Norpix seq" + bytes(1010))
        for image in images:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=95)
            assert buffer.getvalue().startswith(_JPEG)
            file.write((len(buffer.getvalue()) + 4).to_bytes(4, "little") + buffer.getvalue() + bytes(8))


@pytest.fixture(params=["hickle 2", "hickle 4"])
def kitti(request, tmp_path):
    """Two training drives, a validation drive, and two videos."""
    rng = np.random.default_rng(0)
    images = {
        split: rng.integers(0, 256, (count, 128, 160, 3), dtype=np.uint8)
        for split, count in (("train", 40), ("val", 12))
    }
    write_hkl(tmp_path / "kitti_hkl", "train", images["train"], ["a"] * 25 + ["b"] * 15, request.param)
    write_hkl(tmp_path / "kitti_hkl", "val", images["val"], ["c"] * 12, request.param)
    smooth = [np.full((480, 640, 3), (40 + k, 100, 200), dtype=np.uint8) for k in range(75)]
    write_seq(tmp_path / "caltech" / "set06" / "V000.seq", smooth[:35])
    write_seq(tmp_path / "caltech" / "set06" / "V001.seq", smooth[35:])
    return tmp_path, images


def test_kitti_from_hickle_files_and_videos(kitti, monkeypatch):
    root, images = kitti
    train, validation, test = (x.dataset for x in load("kitticaltech", root))
    assert len(train) == 2 + 1 and len(validation) == 1  # windows of 11 from the end of each drive
    assert_close(validation[0][1][0], (images["val"][11].transpose(2, 0, 1) / 255).astype(np.float32))
    assert_close(train[0][0][0], (images["train"][29].transpose(2, 0, 1) / 255).astype(np.float32))
    # Every third frame: 11 of the first video, 13 of the second.
    assert len(test) == 2 and test.blue_first and not train.blue_first and not validation.blue_first
    expected = torch.tensor([[200, 100, 40 + 3 * k + 2] for k in range(10)]).float()
    assert_close(test[1][0][:, :, 64, 80] * 255, expected, rtol=2e-2)

    from openstl_svq.data.datasets import kitticaltech as dataloader_kitticaltech

    monkeypatch.setattr(dataloader_kitticaltech, "_decode", lambda *a: pytest.fail("decoded again"))
    assert torch.equal(load("kitticaltech", root)[2].dataset[1][0], test[1][0])
    assert load("kitticaltech", root, "openstl")[1].dataset is not validation

    # OpenSTL's own cache goes first.
    frames = np.zeros((30, 128, 160, 3), dtype=np.uint8)
    np.save(root / "caltech" / "data_cache.npy", frames)
    np.save(root / "caltech" / "indices_cache.npy", np.array([19, 8], dtype=np.int32))
    test = load("kitticaltech", root)[2].dataset
    assert len(test) == 2 and test[0][0].max() == 0


def test_bad_kitti_files(kitti, tmp_path):
    root, images = kitti
    with pytest.raises(ValueError, match=r"training frames have shape \(3, 128, 160\), in_shape"):
        load("kitticaltech", root, in_shape=[10, 3, 64, 80])
    with pytest.raises(ValueError, match="no window of 60 frames fits"):
        load("kitticaltech", root, aft_seq_length=50)
    path = root / "kitti_hkl" / "X_train.hkl"
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(ValueError, match="X_train.hkl cannot be read"):
        load("kitticaltech", root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="X_train.hkl"):
        load("kitticaltech", root)


def test_bad_kitti_arrays(root, tmp_path):
    folder = tmp_path / "kitticaltech_npy"
    shutil.copytree(root / "kitticaltech_npy", folder)
    np.save(folder / "train_data.npy", np.full((30, 128, 160, 3), 200.0))
    with pytest.raises(ValueError, match=r"values from 200 to 200; numbers in \[0, 1\]"):
        load("kitticaltech", tmp_path)
    np.save(folder / "train_data.npy", np.zeros((30, 128, 160), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"images \(N, H, W, 3\) are needed"):
        load("kitticaltech", tmp_path)
    np.save(folder / "train_data.npy", np.zeros((30, 128, 160, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="does not fit the 30 training frames"):
        load("kitticaltech", tmp_path)
    (folder / "test_idx.npy").unlink()
    with pytest.raises(FileNotFoundError, match="test_idx.npy"):
        load("kitticaltech", tmp_path)


# ---- the real OpenSTL ----


@pytest.mark.openstl
@pytest.mark.parametrize("name", ["taxibj", "kth", "human", "kitticaltech"])
def test_openstl_gives_the_same_windows(root, name, tmp_path, monkeypatch):
    import os

    from openstl.datasets import load_data as openstl_load_data

    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path)))  # OpenSTL takes clips in the disk's order
    if name == "kitticaltech":  # it feeds bytes as they are; its own files hold numbers in [0, 1]
        shutil.copytree(root / "kitticaltech_npy", tmp_path / "kitticaltech_npy")
        for split in ("train", "test"):
            path = tmp_path / "kitticaltech_npy" / f"{split}_data.npy"
            np.save(path, np.load(path) / 255.0)
        root = tmp_path
    theirs = openstl_load_data(name, 2, 2, 1, str(root), **{**get_dataset(name).entry, **SMALL.get(name, {})})
    ours = load(name, root, "openstl")
    for a, b in ((theirs[0], ours[0]), (theirs[2], ours[2])):
        assert len(a.dataset) == len(b.dataset)
        for index in range(len(a.dataset)):
            for u, v in zip(a.dataset[index], b.dataset[index]):
                assert_close(v, u, rtol=1e-5)


def test_differences_of_weather_are_refused(root):
    with pytest.raises(
        ValueError, match="taxibj has no difference steps, windows.*strict, openstl and strict.selection"
    ):
        load("taxibj", root, "strict+windows+selection+steps")
