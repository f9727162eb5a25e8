"""Where a sweep's runs run: several at a time with their shares of the devices, jobs of submitit, a real SLURM."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submitit
from running import message_of
from stand_in import WORDS, Place

from openstl_svq import cli, sweep
from openstl_svq.jobs import RunJob
from openstl_svq.sweep import launchers
from openstl_svq.sweep.launchers import LocalLauncher, SlurmLauncher, SubmititLauncher

ROOT = Path(__file__).resolve().parents[1]
LOST, REQUEUED = ("seed-3", "seed-11"), "seed-7"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Place(tmp_path, monkeypatch)


# several at a time on this machine


def printed(place, run):
    lines = (place.folder / "logs" / f"{run.name}.log").read_text().splitlines()
    return {name: rest for name, _, rest in (line.partition(" ") for line in lines)}


def test_several_at_a_time_share_devices_and_cores(place, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    names = [f"seed-{seed}" for seed in range(4)]
    runs, _ = place.plan(seed=[0, 1, 2, 3], extra={name: {"seconds": 0.5} for name in names})
    begin = time.monotonic()
    failed, lines = place.run(runs, LocalLauncher(4))
    assert not failed and len(lines) == 4 and time.monotonic() - begin < 4 * 0.5 + 5
    found = [printed(place, run) for run in runs]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["4", "5", "6", "4"]
    assert {one["OMP_NUM_THREADS"] for one in found} == {str(max(1, len(os.sched_getaffinity(0)) // 4))}
    assert all(one["words"].endswith("--gpus 0") for one in found)
    assert {one["SLURM_NTASKS"] for one in found} == {"None"}, "an allocation at hand is not the run's"


@pytest.mark.parametrize(
    "jobs, words, devices",
    [
        (2, ["--gpus", "2", "3"], ["4,5", "6,7"]),  # so many, not these: the others have them
        (2, ["--gpus", *map(str, range(8))], ["4,5,6,7"] * 2),  # too few: the run says so
        (2, ["--accelerator", "cpu"], ["4,5,6,7"] * 2),
        (1, [], ["4,5,6,7"] * 2),  # alone, it is as its own command line would have it
    ],
)
def test_shares_of_the_devices(place, monkeypatch, jobs, words, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    runs, _ = place.plan(seed=[0, 1], words=[*WORDS, *words])
    place.run(runs, LocalLauncher(jobs))
    assert sorted(printed(place, run)["CUDA_VISIBLE_DEVICES"] for run in runs) == sorted(devices)
    assert {printed(place, run)["OMP_NUM_THREADS"] for run in runs} == {"1"}, "what the user has set stays"


def test_failures_among_several(place):
    runs, _ = place.plan(seed=[0, 1, 2], extra={"seed-0": {"seconds": 0.3}, "seed-1": {"error": "loss is NaN"}})
    failed, lines = place.run(runs, LocalLauncher(3))
    assert failed == {"seed-1": "error: loss is NaN"} and len(lines) == 3
    runs, _ = place.plan(seed=[0, 1, 2])
    assert place.run(runs, LocalLauncher(2))[0] == {}
    assert sorted(place.calls()) == ["seed-0", "seed-1", "seed-1 resumed", "seed-2"]


# jobs


def twenty(place):
    """Twenty runs, of which two are killed with their jobs, and one is pre-empted in the middle."""
    extra = {name: {"to_itself_and_its_job": signal.SIGKILL} for name in LOST}
    return place.plan(seed=range(20), extra=extra | {REQUEUED: {"to_its_job": signal.SIGUSR2}})[0]


def none_is_lost(place, runs, launcher):
    failed, lines = place.run(runs, launcher)
    assert set(failed) == set(LOST) and len(lines) == 20
    assert all("ended without a result" in reason and "words" in reason for reason in failed.values()), failed
    rows = sweep.runs_table(runs, place.folder, ["seed"], failed).rows
    assert [row["state"] for row in rows].count("finished") == 18
    calls = place.calls()
    assert calls.count(REQUEUED) == calls.count(f"{REQUEUED} resumed") == 1 and len(calls) == 21
    again, _ = place.run(runs, launcher)
    assert not again and sorted(place.calls()[21:]) == sorted(f"{name} resumed" for name in LOST)
    assert all(sweep.state(run, place.folder) == "finished" for run in runs)
    assert place.run(runs, launcher) == ({}, []) and len(place.calls()) == 23


@posix
def test_twenty_jobs_two_killed_one_requeued(place):
    def executor(folder):
        executor = submitit.LocalExecutor(folder)
        executor.update_parameters(timeout_min=60)
        return executor

    none_is_lost(place, twenty(place), SubmititLauncher(executor))


@posix
def test_a_job_that_comes_again_after_its_run_has_finished(place):
    runs, _ = place.plan(seed=[0])
    place.run(runs)
    assert RunJob(runs[0].name, runs[0].words, place.folder, place.train)() == 0
    assert place.calls() == ["seed-0"]


# the command line


@pytest.mark.parametrize(
    "words, message",
    [
        (["--launcher", "slurm"], "there is no SLURM on this machine .no sbatch, srun, squeue, sinfo"),
        (["--launcher", "ray"], "unknown launcher 'ray'"),
        (["--launcher", "slurm", "--jobs", "2"], "--jobs has no effect with --launcher slurm"),
        (["--partition", "gpu"], "--partition has no effect with --launcher local"),
        (["--jobs", "0"], "--jobs must be 1 or more, got 0"),
    ],
)
def test_launchers_that_cannot_be(tmp_path, monkeypatch, words, message):
    monkeypatch.setenv("PATH", str(tmp_path))
    parser = argparse.ArgumentParser()
    cli.add_launcher_flags(parser)
    with pytest.raises(ValueError, match=message):
        sweep.build_launcher(parser.parse_args(words))


@pytest.mark.parametrize("tool, words", [("sweep", [*WORDS, "--seed", "0", "1"]), ("reproduce", ["--table", "7"])])
def test_no_slurm_is_said_at_once(tmp_path, monkeypatch, tool, words):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = message_of(tool, *words, "--launcher", "slurm", "--res_dir", tmp_path / "work")
    assert said.startswith("error: --launcher slurm: there is no SLURM")
    assert len(said.splitlines()) == 1 and not any(tmp_path.iterdir())


@pytest.mark.parametrize("text, expected", [("90", 90), ("90:30", 91), ("1:30:00", 90), ("2-12", 3600), ("0-1:30", 90)])
def test_times_in_the_notation_of_slurm(text, expected):
    assert launchers.minutes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "1h", "-1", "1:2:3:4", "1-", "-"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match="--time"):
        launchers.minutes(text)


# SLURM

SLURM_CONF = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port_of_node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SchedulerParameters=sched_interval=2
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=usual Nodes=ALL Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=60 State=UP PriorityTier=2
"""


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A SLURM of one node with its controller, from Debian's packages slurmctld, slurmd and munge."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(SLURM_CONF.format(host=host, folder=folder, port=_free_port(), port_of_node=_free_port()))
    munge = [f"--{name}={folder}/munge{end}" for name, end in (("key-file", ".key"), ("pid-file", "d.pid"))]
    munge += [f"--{name}={folder}/munge.{end}" for name, end in (("socket", "sock"), ("log-file", "log"))]
    daemons = [
        ["munged", "--foreground", "--force", f"--seed-file={folder}/munge.seed", *munge],
        ["slurmctld", "-D", "-i", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config)],
    ]
    running = []
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("SLURM_CONF", str(config))
        output = stack.enter_context(open(folder / "output", "wb"))
        try:
            for words in daemons:
                running.append(subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT))
                time.sleep(0.5)
            deadline = time.monotonic() + 60
            while "idle" not in (launchers._ask("sinfo", "--noheader", "--format=%T") or ""):
                assert time.monotonic() < deadline, (folder / "output").read_text(errors="replace")
                time.sleep(0.5)
            yield
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(30)


@pytest.mark.slurm
def test_twenty_jobs_on_slurm(place, slurm):
    launcher = SlurmLauncher(
        "usual", minutes=10, array_limit=4, options={"cpus_per_task": 1}, poll_seconds=0.2, queue_seconds=1.0
    )
    runs, words = twenty(place), ["--accelerator", "cpu"]
    for run in runs:  # the node has no GPU
        run.config["accelerator"] = words[1]
    none_is_lost(place, runs, launcher)
