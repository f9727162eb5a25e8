"""A stand-in for tools/train.py, and the folder of a sweep over it."""

import json

from openstl_svq import config as configuration
from openstl_svq import sweep

WORDS = ["-d", "weather_sample", "-m", "simvp_svq"]

# Does with a run folder what tools/train.py does. SWEEP_TEST holds, by the run's name, what it is to write.
TRAIN = """
import json, os, pathlib, signal, sys, time
words = sys.argv[1:]
place = pathlib.Path(words[words.index("--res_dir") + 1], words[words.index("--ex_name") + 1])
orders = json.load(open(os.environ["SWEEP_TEST"]))[place.name]
with open(place.parent / "calls", "a") as calls:
    calls.write(place.name + (" resumed" if "--resume" in words else "") + "\\n")
for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "SLURM_NTASKS"):
    print(name, os.environ.get(name))
print("words", *words)
assert ("--resume" in words) == place.exists(), "a fresh run would go to another folder"
(place / "checkpoints").mkdir(parents=True, exist_ok=True)
(place / "config.py").write_text(orders["config"])
if orders.get("before_checkpoint"):
    sys.exit("error: nothing saved")
(place / "checkpoints" / "last.ckpt").touch()
if "--resume" not in words and (number := orders.get("to_itself_and_its_job")):  # as when a node fails
    os.kill(os.getppid(), number)
    os.kill(os.getpid(), number)
if "--resume" not in words and (number := orders.get("to_its_job")):  # as when a scheduler takes the node
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.kill(os.getppid(), number)
    time.sleep(60)
time.sleep(orders.get("seconds", 0))
if orders.get("error"):
    sys.exit("error: " + orders["error"])
(place / "metrics.json").write_text(json.dumps({"scores": {"model": {"mse": orders["mse"], "mse_by_lead": [1, 2]}}}))
"""


class Display:
    def __init__(self):
        self.count = 0

    def update(self, count):
        self.count += count

    def set_postfix_str(self, text):
        self.text = text


class Place:
    """A sweep's folder with the stand-in for training."""

    def __init__(self, path, monkeypatch):
        self.folder, self.train, self.orders = path / "work" / "s", path / "train.py", path / "orders.json"
        self.train.write_text(TRAIN)
        monkeypatch.setenv("SWEEP_TEST", str(self.orders))
        monkeypatch.setattr(sweep.Launcher, "poll_seconds", 0.02)

    def plan(self, mse=None, extra=None, words=WORDS, options=(), **axes):
        runs, cells = sweep.plan(axes, words, options, self.folder)
        self.orders.write_text(
            json.dumps(
                {
                    run.name: {
                        "config": configuration.dump(run.config),
                        "mse": mse(run.settings) if mse else 1.0,
                        **(extra or {}).get(run.name, {}),
                    }
                    for run in runs
                }
            )
        )
        return runs, cells

    def run(self, runs, launcher=None):
        lines = []
        failed = sweep.sweep(runs, self.folder, self.train, lines.append, Display(), launcher)
        return failed, lines

    def calls(self):
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []
