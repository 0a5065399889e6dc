"""Whatever breaks, and whenever: the same film in the end, no finished frame rendered twice, nothing hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remix.client.a1111.server import Server
from remix.engine import Event, render
from remix.errors import HostRefused, HostSilent, HostUnreachable, Interrupted
from tests.client.a1111.conftest import QUICK, Serve, engine, recipe
from tests.core.engine.runs import contents
from tests.fakes.a1111_server import A1111Server
from tests.fakes.faults import Answer, Fault

FRAMES = "/sdapi/v1/txt2img"
KINDS = ("cut", "stall", "drip", "reset", "refuse", "status", "garbage", "lie_length", "forget")


@pytest.fixture
def undisturbed(serve: Serve, tmp_path: Path) -> dict[str, bytes]:
    """What a job without any trouble leaves."""
    return contents(render(recipe(), engine(serve()), tmp_path / "undisturbed").folder)


@pytest.mark.parametrize("script", [False, True], ids=["alone", "script"])
@pytest.mark.parametrize("do", KINDS)
def test_a_fault_at_any_request_for_pictures_is_survived(
    serve: Serve, tmp_path: Path, undisturbed: dict[str, bytes], do: str, script: bool
) -> None:
    faults = [Fault(FRAMES, nth, do, at=504 if do == "status" else 30) for nth in (1, 3, 6)]
    server = serve(faults, script=script)
    outcome = render(recipe(), engine(server, batch=2 if script else None), tmp_path / "job")
    if not script:
        assert contents(outcome.folder) == undisturbed
    assert len(set(server.rendered)) == 5
    # The script keeps its frames. Without it, the server renders frames of lost replies again.
    assert max(Counter(server.rendered).values()) <= (1 if script else 2)


@pytest.mark.parametrize("do", KINDS)
def test_a_fault_at_any_other_request_is_survived(serve: Serve, tmp_path: Path, do: str) -> None:
    faults = [Fault(path, 1, do) for path in ("/sdapi/v1/options", "/sdapi/v1/progress", "/sdapi/v1/samplers")]
    if do in ("drip", "stall"):  # these hold up a call until its time is over, which for lists is a minute
        faults = faults[1:2]
    server = serve(faults)
    render(recipe(), engine(server), tmp_path / "job", film=None)
    # Without a report of its end, a picture may have been interrupted, so it is rendered again.
    assert len(server.rendered) - 5 <= 1
    assert len(set(server.rendered)) == 5


def test_nothing_is_sent_while_a_lost_request_still_renders(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(tasks=False)
    asked: list[int] = []
    post, progress = Server.post, server._progress

    def given_up(*request: Any) -> None:
        with contextlib.suppress(HostSilent):  # the client ends what it waits for no more
            post(*request)

    def lost(self: Server, path: str, body: Any, *how: Any) -> Any:
        if not body.get("send_images", True) or asked:
            return post(self, path, body, *how)
        asked.append(0)  # the first frame: sent, and its connection ends while the server renders
        server.gate.clear()
        server.begun.clear()
        threading.Thread(target=given_up, args=(self, path, body, *how), daemon=True).start()
        assert server.begun.wait(20)
        raise HostSilent("the connection was lost")

    def questions() -> dict[str, Any]:
        if not server.gate.is_set():
            asked.append(len(server.requests) + len(server.waiting))
            if len(asked) == 20:
                server.gate.set()
        return progress()

    monkeypatch.setattr(Server, "post", lost)
    server._progress = questions  # type: ignore[method-assign]
    render(recipe(), engine(server), tmp_path / "job", film=None)
    # All the while the server had had one request, the trial, and nothing waited behind the frame that it rendered.
    assert asked == [0, *[1] * 19]
    assert len(server.rendered) == 6


def test_a_gateway_that_gives_up_every_time_is_named(serve: Serve, tmp_path: Path) -> None:
    server = serve([Fault(FRAMES, nth, "status", 504) for nth in (3, 5, 7)])
    with pytest.raises(HostRefused, match=r"frame 1, sent 3 times: .*504: the proxy in front of the server gave up"):
        render(recipe(), engine(server), tmp_path / "job", film=None)
    assert len(list((tmp_path / "job" / "frames").iterdir())) == 1


def test_a_server_that_is_gone_is_named_and_the_same_line_goes_on_later(
    serve: Serve, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    server = serve()

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done == 2:
            server.stop()

    with pytest.raises(HostSilent, match=r"has not answered for 0\.3 s; finished frames are kept"):
        render(recipe(), engine(server), tmp_path / "job", listen=listen)
    finished = list((tmp_path / "job" / "frames").iterdir())
    with pytest.raises(HostUnreachable, match="is the server running there"):
        render(recipe(), engine(server), tmp_path / "job")
    server.start()
    outcome = render(recipe(), engine(server), tmp_path / "job")
    assert outcome.rendered == 5 - len(finished)
    assert contents(outcome.folder) == undisturbed


@pytest.mark.parametrize("script", [False, True], ids=["alone", "script"])
def test_a_server_that_is_started_again_is_waited_for(serve: Serve, tmp_path: Path, script: bool) -> None:
    server = serve(script=script)
    made, before = server._made, dict(server.options)
    again = threading.Event()

    def restart() -> None:
        server.stop()
        server.forget()
        server.start()

    def dying(name: str, body: dict[str, Any]) -> Any:
        if len(server.rendered) == 2 and not again.is_set():
            again.set()
            threading.Thread(target=restart).start()
            assert server.ending.wait(30)
            return Answer(b"", 500)
        return made(name, body)

    server._made = dying  # type: ignore[method-assign]
    outcome = render(recipe(), engine(server, batch=2 if script else None), tmp_path / "job", film=None)
    assert (outcome.rendered, len(set(server.rendered))) == (5, 5)
    assert again.is_set()
    assert server.options == before


@pytest.mark.parametrize(("tasks", "interrupts"), [(True, 1), (False, 0)])
def test_stopped_at_once_the_servers_work_is_ended_if_it_is_surely_ours(
    serve: Serve, tmp_path: Path, tasks: bool, interrupts: int
) -> None:
    server = serve(tasks=tasks)
    made = server._made

    def hold(name: str, body: dict[str, Any]) -> Any:
        if len(server.rendered) == 2:
            server.gate.clear()
            server.gate.wait(30)
        return made(name, body)

    def listen(event: Event) -> None:
        if event.stage == "steps" and event.frame == 2:
            raise KeyboardInterrupt

    server._made = hold  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        render(recipe(), engine(server), tmp_path / "job", film=None, listen=listen)
    server.gate.set()
    server._made = made  # type: ignore[method-assign]
    assert server.interrupts == interrupts
    finished = len(list((tmp_path / "job" / "frames").iterdir()))
    assert finished == 2
    assert render(recipe(), engine(server), tmp_path / "job", film=None).rendered == 3


def command(server: A1111Server, folder: Path, source: Path) -> subprocess.Popen[bytes]:
    """The command line in a process of its own."""
    line = [sys.executable, "-m", "remix.client", "render", source, "--engine", "a1111", "--url", server.url, "-q"]
    return subprocess.Popen([*line, "-o", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_client_that_is_stopped_goes_on_with_the_same_line(
    serve: Serve, tmp_path: Path, undisturbed: dict[str, bytes], how: signal.Signals
) -> None:
    server = serve()
    source, folder = tmp_path / "recipe.json", tmp_path / "job"
    source.write_text(recipe().to_json(), encoding="utf-8")
    made, stopped = server._made, threading.Event()

    def stop(name: str, body: dict[str, Any]) -> Any:
        if len(server.rendered) == 3 and not stopped.is_set():
            stopped.set()
            os.kill(client.pid, how)
        return made(name, body)

    server._made = stop  # type: ignore[method-assign]
    client = command(server, folder, source)
    assert client.wait(60) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    finished = len(list((folder / "frames").glob("*.png")))
    assert 2 <= finished <= 4
    before = len(server.rendered)
    assert command(server, folder, source).wait(60) == 0
    assert len(server.rendered) - before == 5 - finished
    assert contents(folder) == undisturbed


@pytest.mark.parametrize("script", [False, True])
def test_a_gateway_that_gives_up_while_the_server_renders(serve: Serve, tmp_path: Path, script: bool) -> None:
    server = serve(script=script)
    server.gateway_gives_up = True
    if script:  # which keeps what it has rendered: asked again, it answers at once
        assert render(recipe(), engine(server), tmp_path / "job", film=None).rendered == 5
        assert len(server.rendered) == 5
        return
    with pytest.raises(HostRefused, match=r"^frame 0: rendering takes longer than a proxy .*proxy_read_timeout"):
        render(recipe(), engine(server), tmp_path / "job", film=None)
    server.finish()
    assert len(server.rendered) == 1


def test_a_run_that_is_cancelled_does_not_wait_for_a_server_that_is_away(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    patient = engine(server, timeouts=replace(QUICK, offline=60))

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done == 2:
            server.stop()
            threading.Timer(0.3, patient.cancel).start()

    before = time.monotonic()
    with pytest.raises(Interrupted):
        render(recipe(), patient, tmp_path / "job", film=None, listen=listen)
    assert time.monotonic() - before < 30


def somebody(server: A1111Server) -> threading.Thread:
    """Queues a request of another client, which renders until the gate opens."""
    body = {"steps": 1, "width": 64, "height": 64, "sampler_name": "Euler", "send_images": False}
    work = threading.Thread(target=server._in_turn, args=("txt2img", body), daemon=True)
    server.gate.clear()
    work.start()
    while not server.waiting and server.task != "task(of somebody)":
        time.sleep(0.001)
    return work


@pytest.mark.parametrize("script", [False, True], ids=["alone", "script"])
@pytest.mark.parametrize("begun", [0, 2])
def test_a_run_that_is_cancelled_behind_somebody_elses_request_does_not_wait_for_it(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, script: bool, begun: int
) -> None:
    server = serve(script=script)
    stopping = engine(server, batch=1 if script else None)
    others: list[threading.Thread] = []
    made = server._made

    def come() -> None:
        others.append(somebody(server))
        threading.Thread(target=cancel_behind, daemon=True).start()

    def cancel_behind() -> None:
        while not (server.waiting and server.task == "task(of somebody)"):
            time.sleep(0.001)
        stopping.cancel()

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done == begun == 0:
            come()

    def with_company(name: str, body: dict[str, Any]) -> Any:
        if begun and len(server.rendered) == begun and not others:
            come()
        return made(name, body)

    server._made = with_company  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=f"{2 if begun else 5} of 5 frames left"):
        render(recipe(), stopping, tmp_path / "job", film=None, listen=listen)
    assert others[0].is_alive()
    assert server.interrupts == 0
    warning = "render it and keep it for the next run" if script else "although nothing waits for it"
    assert (warning in caplog.text) == bool(begun)  # a trial is nothing to speak of
    server.gate.set()
    others[0].join(20)
    again = render(recipe(), engine(server, batch=1 if script else None), tmp_path / "job", film=None)
    assert again.rendered == (2 if begun else 5)
    assert len(server.rendered) == (6 if begun and not script else 5)


def test_a_run_that_is_cancelled_while_it_waits_for_the_server_to_be_idle_stops_at_once(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve([Fault(FRAMES, 2, "cut_head")], tasks=False)
    stopping = engine(server)
    progress = server._progress

    def asked() -> dict[str, Any]:
        if stopping._cancelled is False and len(server.rendered) == 1:
            somebody(server)
            stopping.cancel()
        return progress()

    server._progress = asked  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="5 of 5 frames left"):
        render(recipe(), stopping, tmp_path / "job", film=None)
    assert not server.gate.is_set()
    server.gate.set()
