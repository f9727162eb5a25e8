"""Processes that train together: when one of them is gone, the others end with a message instead of waiting for it."""

import contextlib
import os
import secrets
import socket
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import LightningEnvironment

_LAUNCHER = "OPENSTL_SVQ_LAUNCHER"  # the processes that Lightning starts inherit the number of the first one
_DONE, _ERROR = b"done", b"error "
_CONNECT_SECONDS = 30
_UNWIND_SECONDS = 20  # for a process that has raised an error to print it and end
_ECHO_SECONDS = 2  # in which connections tell of a death that a collective operation has failed of


class Interrupted(SystemExit):
    """The end of a run that its processes have agreed on."""


class ProcessWatch(Callback):
    """Ends this process when another one of the run has died, whatever either is doing; one of them says so.

    A process in a collective operation waits for those that are gone, for minutes or for ever by backend and launcher.
    So the first process keeps a connection to every other one, which the system closes when a process ends, however
    that happens; when a node is lost, probes of the connection fail after 30 s. Processes that end as they should say
    so before.

    Args:
        advice: says how to go on with the run.
    """

    def __init__(self, advice: Callable[[], str]):
        self.advice = advice
        self._watch: _Watch | None = None
        self._starting = True  # until there are connections

    def start(self, trainer: Trainer) -> None:
        """Watches over the start, in which processes wait for each other too: call it before the trainer runs."""
        if trainer.world_size == 1 or self._watch is not None:
            return
        rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
        launcher = os.getppid()
        if isinstance(trainer.strategy.cluster_environment, LightningEnvironment):  # process 0 starts the others
            # They may come here after it has died, when its number is not their parent's any more.
            if rank == 0:
                os.environ[_LAUNCHER] = str(os.getpid())
            launcher = int(os.environ.get(_LAUNCHER, launcher))
        self._starting = True
        threading.Thread(target=self._watch_start, args=(trainer, rank, launcher), daemon=True).start()

    def _watch_start(self, trainer: Trainer, rank: int, launcher: int):
        while self._starting:
            if rank and os.getppid() != launcher:
                text = f"the process {launcher} that has started the others has died. {self.advice()}"
                _end(text if rank == 1 else None)
            launched = getattr(trainer.strategy.launcher, "procs", [])  # by Lightning, from this one
            for local_rank, process in enumerate(launched, start=1):
                if process.poll():
                    for other in launched:
                        other.kill()
                    name = f"process {local_rank} of {trainer.world_size} (pid {process.pid})"
                    _end(_of_death(name, self.advice()) if process.returncode < 0 else None)  # else it has said why
            time.sleep(0.2)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1 and (peers := _connect(trainer)):
            self._watch = _Watch(peers, trainer.global_rank, trainer.world_size, self.advice)
        self._starting = False

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._watch is not None:
            self._watch.done()
            self._watch.join()
            self._watch = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        watch = self._watch
        if watch is None:
            return
        if isinstance(exception, Interrupted):
            watch.leave(_DONE)
            return
        if isinstance(exception, RuntimeError):  # of a collective operation, it may be
            time.sleep(_ECHO_SECONDS)
        text = f"{type(exception).__name__}: {exception}"
        watch.leave(_ERROR + text.encode())
        if trainer.global_rank:  # what all have found is said by the first alone
            time.sleep(_ECHO_SECONDS)
            if watch.errors.get(0) == text:
                watch.join(_UNWIND_SECONDS)
                os._exit(1)


class _Watch(threading.Thread):
    """Listens to the other processes, until each has said that it is done.

    Args:
        peers: ranks and descriptions of the processes, by the connections to them: of all others in the first process,
            and of the first one in the others.
    """

    def __init__(self, peers: dict[Connection, tuple[int, str]], rank: int, world_size: int, advice: Callable[[], str]):
        super().__init__(daemon=True, name="process-watch")
        self.peers, self.rank, self.world_size, self.advice = peers, rank, world_size, advice
        self.errors: dict[int, str] = {}  # what other processes are ending with
        self._left = False  # this process ends by itself
        self._lock = threading.Lock()
        _watches.add(self)
        self.start()

    def run(self):
        listened, deadline = set(self.peers), float("inf")
        while listened:
            for peer in wait(listened, timeout=1):
                rank, name = self.peers[peer]
                try:
                    said = peer.recv_bytes()
                except (EOFError, OSError):
                    listened.remove(peer)
                    self._end(None if rank in self.errors else _of_death(name, self.advice()))
                    continue
                if said == _DONE:
                    listened.remove(peer)
                else:
                    self.errors[rank] = said.removeprefix(_ERROR).decode(errors="replace")
                    deadline = time.monotonic() + _UNWIND_SECONDS
            if time.monotonic() > deadline:
                self._end(None)

    def done(self):
        self._say(_DONE)

    def leave(self, last_words: bytes):
        """Before this process ends by itself: what happens to the others is no concern of it any more."""
        with self._lock:
            self._left = True
        self._say(last_words)

    def _say(self, message: bytes):
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.send_bytes(message)

    def _end(self, text: str | None):
        with self._lock:
            if self._left:
                return
            self._say(_ERROR)  # so that nobody else says it again
            _end(text if self.rank == 0 or (self.rank == 1 and not self.errors) else None)


_watches: weakref.WeakSet[_Watch] = weakref.WeakSet()


def _close_connections():
    """In a loader's worker: a connection is not closed before all that have it are gone."""
    for watch in _watches:
        for peer in watch.peers:
            peer.close()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_close_connections)


def _of_death(name: str, advice: str) -> str:
    return f"{name} has died, and so the others end. {advice}"


def _end(text: str | None):
    """Ends this process, although its main thread may be waiting inside a library."""
    if text is not None:
        print(f"\nerror: {text}", file=sys.stderr, flush=True)
    os._exit(1)


def _connect(trainer: Trainer) -> dict[Connection, tuple[int, str]]:
    """Connects the first process with each other one; nothing where the network does not let them."""
    first, count = trainer.is_global_zero, trainer.world_size
    server = socket.create_server(("", 0), backlog=count) if first else None
    port, key = trainer.strategy.broadcast((server.getsockname()[1] if server else 0, secrets.token_bytes(16)))
    failure, connections = None, []
    if server is None:
        host = trainer.strategy.cluster_environment.main_address
        try:
            connections = [socket.create_connection((host, port), _CONNECT_SECONDS)]
        except OSError as error:
            failure = error
    if not trainer.strategy.reduce_boolean_decision(failure is None, all=True):
        if failure is not None:
            warnings.warn(
                f"process {trainer.global_rank} cannot connect to the first one ({failure}): should one of them die, "
                "the others may wait for it.",
                stacklevel=2,
            )
        return {}
    if server is None:
        peer = _probed(connections[0])
        peer.send_bytes(key + f"{trainer.global_rank} {os.getpid()} {socket.gethostname()}".encode())
        return {peer: (0, f"process 0 of {count}")}
    peers: dict[Connection, tuple[int, str]] = {}
    while len(peers) < count - 1:
        peer = _probed(server.accept()[0])
        with contextlib.suppress(EOFError, OSError):  # a stranger, who does not know the key
            if peer.poll(_CONNECT_SECONDS) and (greeting := peer.recv_bytes(500)).startswith(key):
                rank, pid, host = greeting.removeprefix(key).decode().split()
                peers[peer] = int(rank), f"process {rank} of {count} (pid {pid} on {host})"
    server.close()
    return peers


def _probed(connected: socket.socket) -> Connection:
    connected.settimeout(None)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # not on every system
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return Connection(connected.detach())
