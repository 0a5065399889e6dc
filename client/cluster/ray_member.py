"""Workers in processes that Ray starts, on this machine or on those of a cluster."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remix import __version__
from remix.client.address import is_loopback
from remix.client.cluster.driven import Driven, Failure
from remix.client.cluster.film import NAP
from remix.client.cluster.members import Facts, Inputs, Member, Shot, Worker, WorkerDied
from remix.engine import Capabilities
from remix.errors import BadInput, MissingPackage, Unsupported
from remix.plan import Recipe, Schedule

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

ANSWER = 5.0
"""Seconds that an address may take to accept a connection."""

CONNECTED = 60.0
"""Seconds that a cluster may take to let this process join. Ray itself tries for ever."""

SCHEDULES = 4
"""Number of schedules that stay in Ray's store."""

SLOTS = 4
"""Calls that a worker's process handles at once: one renders, another one can cancel it."""


def import_ray(local: bool) -> Any:
    """Returns the module ray, which reports no usage. Raises `MissingPackage` if it is not installed.

    If `local`, it binds its ports to the loopback interface, as it does on Windows and macOS.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if local:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingPackage.of("a worker in a process of its own", "ray", extra="cluster") from error
    return ray


class Cluster:
    """A connection to Ray: to the cluster at `address`, or to processes of this machine that end with it.

    Without an address, all of Ray's ports are bound to the loopback interface, and there is no dashboard.
    """

    def __init__(self, address: str | None = None) -> None:
        self.ray = import_ray(local=address is None)
        self._address = address
        self._rendering = 0
        self._lock = threading.Lock()
        self._stored: dict[int, tuple[Schedule, str, list[Any]]] = {}
        self._keeper: threading.Thread | None = None
        self._ended = threading.Event()
        self._failure: Exception | None = None

    @property
    def is_local(self) -> bool:
        """Whether all processes run on this machine."""
        return self._address is None

    def connect(self) -> None:
        """Connects, unless that is done. Raises `BadInput` if there is no cluster at the address."""
        with self._lock:
            if self.ray.is_initialized():
                return
            if self._address is not None:
                self._knock(self._address)
            connected = threading.Event()
            self._ended.clear()
            self._failure = None
            self._keeper = threading.Thread(target=self._keep, args=(connected,), name="ray", daemon=True)
            self._keeper.start()
            if not connected.wait(None if self._address is None else CONNECTED):
                self._keeper = None  # it may never end
                raise self._unreachable(f"no answer in {CONNECTED:g} s")
            if self._failure is not None:
                raise self._failure
            if self._address is None and not is_loopback(self.ray.util.get_node_ip_address()):
                log.warning("Ray was imported before the pool, so its ports are open to other machines")

    def _keep(self, connected: threading.Event) -> None:
        """Starts Ray, and ends it when `close` is called.

        This thread lasts as long as the connection: the system ends Ray's processes with the thread that started them.
        """
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if self._address is None:
                self.ray.init(include_dashboard=False, dashboard_host=LOOPBACK, _node_ip_address=LOOPBACK, **quiet)
            else:
                self.ray.init(address=self._address, **quiet)
        except Exception as error:  # noqa: BLE001 - the thread that waits raises it
            self._failure = error if self._address is None else self._unreachable(error)
            return
        finally:
            connected.set()
        self._ended.wait()
        self.ray.shutdown()

    def _knock(self, address: str) -> None:
        """Raises `BadInput` if nothing accepts connections at an address such as "10.0.0.1:6379"."""
        host, _, port = address.rpartition("://")[2].rpartition(":")
        if not host or not port.isdecimal():  # "auto"
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        except (OSError, OverflowError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, reason: object) -> BadInput:
        return BadInput(
            f"cluster: Ray does not answer at {self._address!r} ({reason}); start it there with ray start --head"
        )

    def close(self) -> None:
        """Ends the connection, and the processes of this machine that belong to it."""
        with self._lock:
            self._stored.clear()
            self._rendering = 0
            self._ended.set()
            if self._keeper is not None:
                self._keeper.join()
                self._keeper = None

    def gpus(self) -> int:
        """Returns the number of GPUs of the cluster at this time."""
        self.connect()
        return int(self.ray.cluster_resources().get("GPU", 0))

    def places(self) -> int:
        """Returns the number of workers that the cluster has room for: one for each GPU, or else for each machine."""
        return self.gpus() or sum(node["Alive"] for node in self.ray.nodes())

    def actor(self, worker: Worker, name: str) -> Any:
        """Returns a new process for a worker, which Ray's dashboard shows by its name. Ray starts it again if it ends.

        One for a server runs on this machine, so that secrets stay here; one that renders gets a GPU if there are any.
        """
        self.connect()
        options: dict[str, Any] = {"max_restarts": -1, "max_concurrency": SLOTS, "num_cpus": 0}
        if worker.is_server:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            here = self.ray.get_runtime_context().get_node_id()
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
        elif worker.options.get("device", "auto") in ("auto", "cuda") and self.gpus():
            options["num_gpus"] = 1
            self._rendering += 1
            if self.is_local and self._rendering > self.gpus():
                raise BadInput(
                    f"workers: {self._rendering} are more than the {self.gpus()} GPUs of this machine; give one for "
                    "each, or use device cpu"
                )
        elif not self.is_local:
            options["num_cpus"] = 1
            options["scheduling_strategy"] = "SPREAD"
        return self.ray.remote(Driven).options(**options).remote(name)

    def schedule(self, schedule: Schedule) -> tuple[str, list[Any]]:
        """Returns a key for a schedule, and its reference in Ray's store, where it is put once."""
        with self._lock:
            if id(schedule) not in self._stored:
                while len(self._stored) >= SCHEDULES:
                    del self._stored[next(iter(self._stored))]
                self._stored[id(schedule)] = (schedule, uuid.uuid4().hex, [self.ray.put(schedule)])
            _, key, reference = self._stored[id(schedule)]
            return key, reference

    def pictures(self, schedule: Schedule, frames: Sequence[int], inputs: Inputs) -> dict[str, Any]:
        """Returns references of the pictures that these frames need. Each is put into Ray's store once."""
        needed = dict.fromkeys(
            name
            for index in frames
            for mix in (schedule[index].image, schedule[index].mask)
            if mix is not None
            for name in mix.values
        )
        with inputs.lock:
            for name in needed.keys() - inputs.references.keys():
                inputs.references[name] = self.ray.put(inputs[name])
            return {name: inputs.references[name] for name in needed}


class RayMember(Member):
    """A worker in a process that Ray starts on first use. Until there is a machine for it, its calls wait."""

    def __init__(self, cluster: Cluster, worker: Worker, name: str) -> None:
        self._cluster, self._worker, self.name = cluster, worker, name
        self._actor: Any = None
        self._cancelled, self._closed = threading.Event(), threading.Event()
        self._turn = threading.Lock()
        self._checked = False

    def about(self) -> dict[str, Any]:
        """Returns the number of the worker's process and its version of the toolkit, once the process runs."""
        actor = self._process()
        reference = actor.about.options(max_task_retries=-1).remote()
        self._wait(reference)
        return self._get(reference)

    def facts(self, schedule: Schedule) -> Facts:
        if not self._checked and (version := self.about()["version"]) != __version__:
            raise Unsupported(f"{self.name}: has Remix Toolkit {version}, and {__version__} is here; install the same")
        self._checked = True
        return self._call("facts", self._worker, *self._cluster.schedule(schedule))

    def capabilities(self, schedule: Schedule) -> Capabilities:
        return self._call("capabilities", self._worker, *self._cluster.schedule(schedule))

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        return self._call("defaults", self._worker, recipe)

    def render(self, schedule: Schedule, frames: Sequence[int], inputs: Inputs) -> Iterator[Shot]:
        self._cancelled.clear()
        self.about()  # waits for a process that Ray is starting again
        actor = self._process()
        pictures = self._cluster.pictures(schedule, frames, inputs)
        call = actor.render.options(num_returns="streaming")
        stream = call.remote(self._worker, *self._cluster.schedule(schedule), list(frames), pictures)
        while True:
            self._wait(stream, actor)
            try:
                reference = next(stream)
            except StopIteration:
                return
            result = self._get(reference)
            del reference
            if isinstance(result, Failure):
                raise result.error()
            yield result

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self._closed.set()
        self._cancelled.set()
        with self._turn:
            if self._actor is not None and self._cluster.ray.is_initialized():
                self._cluster.ray.kill(self._actor)
            self._actor = None

    def _process(self) -> Any:
        with self._turn:
            self._closed.clear()
            if self._actor is None:
                self._actor = self._cluster.actor(self._worker, self.name)
            return self._actor

    def _call(self, method: str, *arguments: Any) -> Any:
        actor = self._process()
        reference = getattr(actor, method).remote(*arguments)
        self._wait(reference, actor)
        result = self._get(reference)
        if isinstance(result, Failure):
            raise result.error()
        return result

    def _wait(self, reference: Any, actor: Any = None) -> None:
        """Waits for a result, passing on a request to cancel to the actor.

        Raises `WorkerDied` once this member is closed, or if it is cancelled while it waits for its process.
        """
        while not self._cluster.ray.wait([reference], timeout=NAP, fetch_local=False)[0]:
            if self._closed.is_set():
                raise WorkerDied("it was closed")
            if self._cancelled.is_set():
                self._cancelled.clear()
                if actor is None:
                    raise WorkerDied("it was cancelled before its process ran")
                actor.cancel.remote()

    def _get(self, reference: Any) -> Any:
        errors = self._cluster.ray.exceptions
        try:
            return self._cluster.ray.get(reference)
        except (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError) as error:
            if isinstance(error, errors.ActorDiedError):  # Ray does not start it again
                self._actor = None
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WorkerDied(f"its process ended ({reason})") from error
