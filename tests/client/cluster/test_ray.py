"""Workers in real processes: the film of one engine though they are killed, no open port, and no secret that leaks.

A cluster has three nodes of Ray on this machine, of which one goes while a film is rendered, and another one comes.

These tests need Ray (extra "cluster"), which the default test install does not bring. `REMIX_KILLS=50` kills as often.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from remix import Keyframe, Model, Recipe
from remix.client import A1111, Local
from remix.client.auth import Auth
from remix.client.cluster import Pool, Worker, ray_member
from remix.engine import Event, render
from remix.errors import BadInput
from remix.plan import plan
from tests.fakes.a1111_server import A1111Server

KILLS = int(os.environ.get("REMIX_KILLS", "3"))
FRAMES = 30 + 20 * KILLS
SECRET = "only-the-drivers-actors-know-this"
LISTENING = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra cluster)"),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="/proc is only on Linux"),
]


def recipe() -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at="100%", prompt="b", seed=2))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=16, height=8, steps=1, model=Model("both-sd15"))


def workers() -> list[int]:
    """Returns the processes of workers on this machine that this process started, directly or not."""
    return [pid for pid in below(os.getpid()) if command(pid).startswith("ray::Driven")]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def below(root: int) -> Iterator[int]:
    """Yields the processes that a process started, directly or not."""
    parents = dict[int, int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    for pid in parents:
        above = pid
        while (above := parents.get(above, 0)) > 0:
            if above == root:
                yield pid
                break


def listening(pids: set[int]) -> set[str]:
    """Returns the addresses at which these processes listen, as in /proc/net/tcp."""
    sockets = {
        os.readlink(link).removeprefix("socket:[").rstrip("]")
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").glob("*")
        if link.is_symlink() and os.path.lexists(link) and os.readlink(link).startswith("socket:")
    }
    found = set[str]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            cells = line.split()
            if cells[3] == LISTENING and cells[9] in sockets:
                found.add(cells[1].partition(":")[0])
    return found


def test_processes_that_are_killed_cost_no_frame_and_nothing_leaks(tmp_path: Path) -> None:
    chance, kills, addresses, logs = random.Random(25), list[int](), set[str](), list[str]()

    def listen(event: Event) -> None:
        if event.stage != "frames" or event.done < 10 + 20 * len(kills) or len(kills) == KILLS:
            return
        if not addresses:
            addresses.update(listening({*below(os.getpid())}))
            logs.append(os.path.realpath("/tmp/ray/session_latest"))
        if running := workers():
            kills.append(chance.choice(running))
            os.kill(kills[-1], signal.SIGKILL)

    with A1111Server(auth=f"me:{SECRET}", script=True).started() as one:
        two = A1111Server(auth=f"me:{SECRET}", script=True)
        with two.started():
            with A1111(one.url, Auth(SECRET, "me"), batch=2) as engine:
                render(recipe(), engine, tmp_path / "alone", film=None, report=False)
            servers = [Worker("a1111", url=each.url, auth=Auth(SECRET, "me"), batch=2) for each in (one, two)]
            with Pool(servers) as pool:
                render(recipe(), pool, tmp_path / "pool", film=None, report=False, listen=listen)
                assert len(kills) == KILLS
                assert len(set(kills)) == KILLS
                assert pool.members == (f"a1111={one.url}", f"a1111={two.url}")
    frames = {path.name: path.read_bytes() for path in (tmp_path / "alone" / "frames").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "pool" / "frames").iterdir()} == frames
    assert len(frames) == FRAMES
    assert two.rendered
    assert addresses
    assert addresses <= LOOPBACK
    written = [path for path in Path(logs[0]).rglob("*") if path.is_file()]
    assert written
    assert not any(SECRET.encode() in path.read_bytes() for path in written)
    assert workers() == []


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head node that renders nothing, on the loopback network at an address that Ray does not replace."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started
    started.shutdown()


def test_a_node_that_goes_costs_no_frame_and_one_that_comes_renders(cluster: Any, tmp_path: Path) -> None:
    keyframes = (Keyframe(prompt="a red house", seed=1), Keyframe(prompt="a blue boat", seed=2))
    asked = Recipe(frames=40, keyframes=keyframes, width=128, height=128, steps=2, cfg=3)
    nodes = [cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2") for _ in range(2)]
    changes = iter(
        [lambda: cluster.remove_node(nodes[1]), lambda: cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2")]
    )

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done in (8, 16) and (change := next(changes, None)) is not None:
            change()

    with Local("cpu", batch=2) as engine:
        render(asked, engine, tmp_path / "alone", film=None, report=False)
    with Pool([Worker("local", device="cpu", batch=2)] * 2, address=cluster.address) as pool:
        render(asked, pool, tmp_path / "pool", film=None, report=False, listen=listen)
    assert next(changes, None) is None
    frames = {path.name: path.read_bytes() for path in (tmp_path / "alone" / "frames").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "pool" / "frames").iterdir()} == frames
    assert len(frames) == 40


def test_each_worker_has_a_gpu_of_its_own(cluster: Any, tmp_path: Path) -> None:
    """The GPUs are those that a node declares, so the frames are rendered on the CPU."""
    keyframes = (Keyframe(prompt="a red house", seed=1), Keyframe(prompt="a blue boat", seed=2))
    asked = Recipe(frames=12, keyframes=keyframes, width=64, height=64, steps=2)
    cluster.add_node(num_cpus=2, num_gpus=2, node_ip_address="127.0.0.2")
    with Local("cpu", batch=2) as engine:
        render(asked, engine, tmp_path / "alone", film=None, report=False)
    here = ray_member.Cluster(cluster.address)
    try:
        assert here.places() == 2
        actors = [here.actor(Worker("local"), name) for name in ("one", "two")]
        seen = [actor.__ray_call__.remote(lambda self: os.environ["CUDA_VISIBLE_DEVICES"]) for actor in actors]
        assert set(here.ray.get(seen)) == {"0", "1"}
    finally:
        here.close()
    with Pool([Worker("local", batch=2)] * 2, address=cluster.address) as pool:
        render(asked, pool, tmp_path / "pool", film=None, report=False)
    frames = {path.name: path.read_bytes() for path in (tmp_path / "alone" / "frames").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "pool" / "frames").iterdir()} == frames


def test_more_workers_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_member.Cluster, "gpus", lambda self: 2)
    here = ray_member.Cluster()
    try:
        for name in ("one", "two"):
            here.actor(Worker("local"), name)
        here.actor(Worker("local", device="cpu"), "three")
        with pytest.raises(BadInput, match="workers: 3 are more than the 2 GPUs of this machine"):
            here.actor(Worker("local"), "four")
    finally:
        here.close()


def test_an_address_without_a_cluster_is_refused_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as silent:
        address = f"127.0.0.2:{silent.getsockname()[1]}"
        monkeypatch.setattr(ray_member, "CONNECTED", 1.0)
        with pytest.raises(BadInput, match="no answer in 1 s"), Pool(["local"], address=address) as pool:
            pool.check(plan(recipe()))
    with pytest.raises(BadInput, match=address), Pool(["local"], address=address) as pool:
        pool.check(plan(recipe()))
