"""Whatever breaks between the ComfyUI engine and its server: no frame is lost, none is made twice, nothing hangs."""

from __future__ import annotations

import functools
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import ComfyUI
from remix.client.auth import Auth
from remix.engine import Event, render
from remix.engine.parts import read_part
from remix.errors import (
    BadReply,
    BlankFrame,
    EngineError,
    HostRefused,
    HostSilent,
    HostUnreachable,
    Interrupted,
    JobLost,
    OutOfMemory,
)
from remix.plan import Keyframe
from tests.client.comfyui.runs import FRAMES, QUICK, at_frames, frames, plain, recipe, right, run
from tests.core.engine.runs import contents
from tests.fakes.comfyui_server import ComfyServer, Script, Trouble
from tests.fakes.faults import Fault
from tests.fakes.proxy import Proxy, Toxic

SPOILT = ("reset", "cut", "cut_head", "garbage", "lie_length", "drip", "stall", "refuse", "status")
FULL = Trouble("torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory.")


def once_each(server: ComfyServer, count: int = FRAMES) -> bool:
    return len(server.rendered) == count and set(server.rendered.values()) == {1}


# R1, R2, R9, R10: the socket


def test_a_socket_that_is_deaf_after_a_cut_delays_nothing(tmp_path: Path) -> None:
    slow = replace(QUICK, poll=0.5)
    with (
        ComfyServer(seconds=0.05).started() as server,
        Proxy(server.url, Toxic("reset_peer", 100, "/ws", 1)).started() as proxy,
    ):
        before = time.monotonic()
        run(proxy.url, tmp_path, timeouts=slow)
        assert time.monotonic() - before < 5
        assert len([path for path in proxy.connections if path.startswith("/ws")]) > 1
    assert np.array_equal(frames(tmp_path), right())


@pytest.mark.parametrize(
    "toxic", [Toxic("limit_data", 300, "/ws"), Toxic("reset_peer", 0, "/ws"), Toxic("timeout", 10, "/ws")]
)
def test_a_socket_that_drops_again_and_again_or_never_opens_costs_no_frame(tmp_path: Path, toxic: Toxic) -> None:
    with ComfyServer(seconds=0.01).started() as server, Proxy(server.url, toxic).started() as proxy:
        run(proxy.url, tmp_path)
        assert once_each(server)
    assert np.array_equal(frames(tmp_path), right())


def test_a_message_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    with ComfyServer(seconds=0.03).started() as server:
        run(server.url, tmp_path, listen=lambda event: server.say_bytes(b"x", announced=2**40))
        assert server.asked.count("GET /ws") > 1
    assert np.array_equal(frames(tmp_path), right())


# R3: the server forgets


@pytest.mark.parametrize("pack", [True, False])
def test_a_server_that_forgets_its_work_is_given_it_again(tmp_path: Path, pack: bool) -> None:
    asked = recipe() if pack else plain()
    with ComfyServer(pack=pack).started() as server:
        run(server.url, tmp_path / "whole", asked)
    faults = [Fault("/queue", 1, "forget"), Fault("/history", 9, "forget")]
    with ComfyServer(faults, pack=pack, seconds=0.02).started() as server:
        run(server.url, tmp_path / "forgot", asked)
    assert contents(tmp_path / "forgot") == contents(tmp_path / "whole")


def test_a_server_that_is_killed_and_started_again_goes_on(tmp_path: Path) -> None:
    server = ComfyServer(seconds=0.02)
    with server.started():

        def kill() -> None:
            server.stop()
            threading.Timer(0.3, server.start).start()

        run(server.url, tmp_path, recipe(frames=40), listen=at_frames(3, kill))
        assert once_each(server, 40)
    assert np.array_equal(frames(tmp_path), right(recipe(frames=40)))


def test_work_that_is_forgotten_for_ever_is_lost_by_name(tmp_path: Path) -> None:
    forgetful = ComfyServer([Fault("/history", 0, "forget")], seconds=0.05)
    with forgetful.started() as server, pytest.raises(JobLost, match="frames 0 to 9: the server forgot it 4 times"):
        run(server.url, tmp_path)


def test_a_server_that_stays_away_is_told_and_the_same_line_goes_on(tmp_path: Path) -> None:
    server = ComfyServer()
    with server.started():
        listen = at_frames(3, server.stop)
        with pytest.raises((HostUnreachable, HostSilent), match=r"nothing answers|connection was lost"):
            run(server.url, tmp_path, listen=listen, timeouts=replace(QUICK, offline=0.2))
        server.start()
        outcome = run(server.url, tmp_path)
        assert outcome.rendered == FRAMES - 3
        assert once_each(server)
    assert np.array_equal(frames(tmp_path), right())


# R4: was it taken?


@pytest.mark.parametrize("do", SPOILT)
@pytest.mark.parametrize("pack", [True, False])
def test_a_prompt_whose_answer_is_lost_is_done_once(tmp_path: Path, do: str, pack: bool) -> None:
    asked = recipe(frames=3) if pack else plain(frames=3)
    with ComfyServer([Fault("/prompt", 1, do)], pack=pack).started() as server:
        run(server.url, tmp_path, asked, timeouts=replace(QUICK, request=0.4))
        assert len(server.ran) == (1 if pack else 3)
        assert once_each(server, 3)


def test_a_server_that_chooses_ids_itself_is_followed(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        server.ignores_ids = True
        run(server.url, tmp_path)
        assert once_each(server)


# R5: kept results


@pytest.mark.parametrize("pack", [True, False])
def test_results_that_are_kept_though_their_files_are_gone_are_made_again(tmp_path: Path, pack: bool) -> None:
    asked = recipe() if pack else plain()
    with ComfyServer(pack=pack).started() as server:
        run(server.url, tmp_path / "first", asked)
        gone = sorted(place for place in server.files if place[0] == "output")[4]
        del server.files[gone]
        run(server.url, tmp_path / "again", asked)
        assert sorted(server.rendered.values()) == [1] * 9 + [2]
    assert np.array_equal(frames(tmp_path / "again"), frames(tmp_path / "first"))


def test_a_run_that_is_done_and_names_no_files_is_done_once_more(tmp_path: Path) -> None:
    with ComfyServer(script=Script(empty=1)).started() as server:
        run(server.url, tmp_path)
    assert np.array_equal(frames(tmp_path), right())
    twice = ComfyServer(script=Script(empty=2))
    with (
        twice.started() as server,
        pytest.raises(BadReply, match="frame 0: the server reports frames 0 to 9 as done, and names 0 files"),
    ):
        run(server.url, tmp_path / "other")


def test_a_file_that_cannot_be_had_is_an_error_with_its_frame(tmp_path: Path) -> None:
    with ComfyServer([Fault("/view", 0, "status", 404)]).started() as server:
        with pytest.raises(BadReply, match=r"frame 0: the server made it twice, and has no file of it \(.*/view: 404"):
            run(server.url, tmp_path)
        assert len(server.ran) == 2


# R6, R25: others, and an end


def test_of_two_clients_each_gets_its_own_and_an_end_of_one_ends_nothing_else(tmp_path: Path) -> None:
    other = recipe(keyframes=(Keyframe(prompt="c"),), frames=30)
    found: dict[str, Any] = {}
    with ComfyServer(seconds=0.01).started() as server:

        def second() -> None:
            found["other"] = run(server.url, tmp_path / "other", other)

        thread = threading.Thread(target=second)
        stopping = False

        def stop() -> None:
            nonlocal stopping
            stopping = True

        thread.start()
        with pytest.raises(Interrupted, match=r"\d+ of 60 frames left; run it again"):
            run(server.url, tmp_path / "mine", recipe(frames=60), listen=at_frames(2, stop), stop=lambda: stopping)
        mine = {entry["prompt"][1] for entry in server.history.values() if '"c"' not in str(entry["prompt"][2])}
        thread.join()
        assert set(server.cancelled) <= mine | {prompt for prompt in server.cancelled if prompt not in server.history}
        assert not [prompt for prompt in server.pending if prompt.id in server.cancelled]
        assert np.array_equal(frames(tmp_path / "other"), right(other))
        run(server.url, tmp_path / "mine", recipe(frames=60))
        assert once_each(server, 90)
    assert np.array_equal(frames(tmp_path / "mine"), right(recipe(frames=60)))


def test_an_older_server_is_not_asked_to_end_what_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def stop(event: Event) -> None:
        if event.stage == "steps":
            raise KeyboardInterrupt  # as a second Ctrl-C

    with ComfyServer(seconds=0.05, version="0.3.50").started() as server:
        with pytest.raises(KeyboardInterrupt):
            run(server.url, tmp_path, recipe(frames=40), listen=stop)
        assert "POST /interrupt" not in server.asked
        assert "POST /queue" in server.asked
    assert "too old to end one prompt alone" in caplog.text


def test_what_somebody_interrupts_on_the_server_is_told(tmp_path: Path) -> None:
    with ComfyServer(seconds=0.02).started() as server:

        def interrupt(event: Event) -> None:
            if event.stage == "steps" and server.running is not None:
                server.running.interrupted = True

        with pytest.raises(EngineError, match="frames 0 to 9: somebody interrupted it on the server; run the same"):
            run(server.url, tmp_path, listen=interrupt)
        run(server.url, tmp_path)
        assert once_each(server)


# R8, R13: what nodes raise, and blank pictures


def test_out_of_memory_is_tried_once_more_with_one_frame_at_a_time(tmp_path: Path) -> None:
    with ComfyServer(script=Script(troubles=[FULL])).started() as server:
        run(server.url, tmp_path)
        assert server.freed == 1
        assert [entry["prompt"][2]["2"]["inputs"]["batch_size"] for entry in server.history.values()] == [2, 1]
    assert np.array_equal(frames(tmp_path), right())
    with ComfyServer(script=Script(troubles=[FULL, FULL])).started() as server:
        with pytest.raises(OutOfMemory, match="frames 0 to 9: not even one frame fits into the server's memory"):
            run(server.url, tmp_path / "other")
        assert len(server.ran) == 2


def test_what_a_node_says_is_told_and_not_tried_again(tmp_path: Path) -> None:
    with ComfyServer(script=Script(troubles=[Trouble("ValueError", "no such thing")])).started() as server:
        with pytest.raises(EngineError, match="frames 0 to 9: RemixRender says: no such thing"):
            run(server.url, tmp_path)
        assert len(server.ran) == 1
        run(server.url, tmp_path)  # what failed once is no obstacle
    assert np.array_equal(frames(tmp_path), right())


@pytest.mark.parametrize(("black", "fails"), [(1, False), (2, True)])
def test_a_black_frame_is_made_once_more_and_then_an_error(tmp_path: Path, black: int, fails: bool) -> None:
    asked = plain(frames=1, keyframes=(Keyframe(prompt="a"),))
    with ComfyServer(pack=False, script=Script(black=black)).started() as server:
        if fails:
            with pytest.raises(BlankFrame, match=r"frame 0: every pixel of the picture is \(0, 0, 0\); start"):
                run(server.url, tmp_path, asked)
        else:
            run(server.url, tmp_path, asked)
        assert server.freed == 1


def test_a_blank_latent_that_our_node_refuses_is_tried_once_more(tmp_path: Path) -> None:
    blank = Trouble("remix.errors.BlankFrame", "frame 3: the model gave numbers that are not finite")
    with ComfyServer(script=Script(troubles=[blank])).started() as server:
        run(server.url, tmp_path)
    twice = ComfyServer(script=Script(troubles=[blank, blank]))
    with twice.started() as server, pytest.raises(BlankFrame, match=r"frame 3: .* not finite; start the server with"):
        run(server.url, tmp_path / "other")


# R23, R24: pictures on their way


@pytest.mark.parametrize("do", SPOILT)
def test_a_picture_that_comes_damaged_or_late_is_fetched_again(tmp_path: Path, do: str) -> None:
    with ComfyServer([Fault("/view", 2, do, 50), Fault("/view", 5, do, 0)]).started() as server:
        run(server.url, tmp_path, timeouts=replace(QUICK, request=0.3))
        assert once_each(server)
    assert np.array_equal(frames(tmp_path), right())


@pytest.mark.parametrize("path", ["/object_info", "/queue", "/history", "/upload", "/ws"])
@pytest.mark.parametrize("do", ["cut", "garbage", "stall", "reset", "status"])
def test_any_other_request_may_fail_too(tmp_path: Path, path: str, do: str) -> None:
    with ComfyServer([Fault(path, 1, do), Fault(path, 3, do)], seconds=0.01).started() as server:
        run(server.url, tmp_path, timeouts=replace(QUICK, request=0.3))
        assert once_each(server)
    assert np.array_equal(frames(tmp_path), right())


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/upload", "/view"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 530])
def test_a_status_that_passes_ends_nothing(tmp_path: Path, path: str, status: int) -> None:
    with ComfyServer([Fault(path, 1, "status", status), Fault(path, 3, "status", status)]).started() as server:
        run(server.url, tmp_path)
        assert once_each(server)
    assert np.array_equal(frames(tmp_path), right())


# S2, S9, S12, S14


@pytest.mark.parametrize("name", ["../../.bashrc", "..\\..\\x", "/etc/passwd", "x\0.png", "x" * 10_000, "CON", "-i"])
def test_names_that_a_server_gives_lead_nowhere_here(tmp_path: Path, name: str) -> None:
    with ComfyServer(script=Script(name=name)).started() as server, pytest.raises((HostRefused, HostSilent, BadReply)):
        run(server.url, tmp_path / "job")
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {f"job/{name}" for name in ("recipe.json", "schedule.json", "job.json", "job.lock")}


def test_a_secret_is_in_no_file_and_no_words(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "SENTINEL-77aa"
    faults = [Fault("/view", 2, "cut"), Fault("/prompt", 1, "reset"), Fault("/ws", 1, "reset")]
    with ComfyServer(faults, token=secret, seconds=0.02).started() as server:
        run(server.url, tmp_path / "job", auth=Auth(secret))
        assert all(headers.get("Authorization") == f"Bearer {secret}" for headers in server.headers)
        with pytest.raises(HostRefused, match="401: the server refused the credentials; check") as refused:
            run(server.url, tmp_path / "other", auth=Auth(secret + "x"))
        kept = [str(entry) for entry in server.history.values()]
    texts = [caplog.text, *capfd.readouterr(), str(refused.value), *kept]
    texts += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if secret in text]


HOSTILE = '$(touch x); -vf "drawtext" ../../x %date:yyyy% \\ \n {a|b}'


def hostile(server: ComfyServer, folder: Path) -> list[dict[str, Any]]:
    """The inputs of every node that the server was sent for 2 frames of a hostile prompt, which are one picture."""
    run(server.url, folder, recipe(keyframes=(Keyframe(prompt=HOSTILE, negative=HOSTILE),), frames=2))
    return [node["inputs"] for entry in server.history.values() for node in entry["prompt"][2].values()]


def test_hostile_prompts_stay_in_the_recipe_of_our_nodes(tmp_path: Path) -> None:
    with ComfyServer(pack=True).started() as server:
        texts = hostile(server, tmp_path / "job")
    (written,) = [inputs["schedule"] for inputs in texts if "schedule" in inputs]
    assert set(read_part(written).texts) == {HOSTILE}
    (prefix,) = {inputs["filename_prefix"] for inputs in texts if "filename_prefix" in inputs}
    assert re.fullmatch(r"remix/client_[0-9a-f]{10}/000000", prefix)


def test_hostile_prompts_stay_in_the_texts_of_the_servers_own_nodes(tmp_path: Path) -> None:
    with ComfyServer(pack=False).started() as server:
        texts = hostile(server, tmp_path / "job")
    assert [inputs["text"] for inputs in texts if "text" in inputs] == [HOSTILE] * 2
    names = [inputs["filename_prefix"] for inputs in texts if "filename_prefix" in inputs]
    assert names
    assert all(re.fullmatch(r"remix/\w+/\d{6}", name) for name in names)


def test_progress_that_makes_no_sense_ends_nothing(tmp_path: Path) -> None:
    events: list[Event] = []
    with ComfyServer(script=Script(progress=[(-99, 4), (9, -3), (10**30, 2)]), seconds=0.02).started() as server:
        run(server.url, tmp_path / "job", listen=events.append)
    assert np.array_equal(frames(tmp_path / "job"), right())
    steps = [event for event in events if event.stage == "steps"]
    assert steps
    assert all(0 <= event.done <= event.total for event in steps)


# the process itself


def command(url: str, path: Path, job: Path) -> list[str]:
    return [sys.executable, "-m", "remix.client", "render", str(path), "--engine", "comfyui", "--url", url, "-o",
            str(job), "-q", "--no-film", "--batch", "2"]  # fmt: skip


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def _has(server: ComfyServer, count: int) -> bool:
    return len(server.rendered) >= count


def listening(process: int) -> set[str]:
    """The TCP sockets on which a process listens, by their inodes."""
    own = {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return own & {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux about processes")
@pytest.mark.parametrize("pack", [True, False])
def test_a_client_that_is_killed_finds_what_the_server_did_meanwhile(tmp_path: Path, pack: bool) -> None:
    asked = recipe(frames=24) if pack else plain(frames=24)
    path = tmp_path / "recipe.json"
    path.write_text(asked.to_json(), encoding="utf-8")
    with ComfyServer(pack=pack, seconds=0.02).started() as server:
        for kill in (2, 5, 9, 14):
            client = subprocess.Popen(command(server.url, path, tmp_path / "job"))
            until(functools.partial(_has, server, kill))
            assert listening(client.pid) == set()
            client.kill()
            client.wait()
        assert subprocess.run(command(server.url, path, tmp_path / "job"), check=False).returncode == 0
        assert once_each(server, 24)
        run(server.url, tmp_path / "whole", asked)
    assert np.array_equal(frames(tmp_path / "job"), frames(tmp_path / "whole"))


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_finishes_what_is_begun_a_second_one_does_not_and_the_same_line_goes_on(
    presses: int, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(recipe(frames=60).to_json(), encoding="utf-8")
    with ComfyServer(seconds=0.05).started() as server:
        client = subprocess.Popen(command(server.url, path, tmp_path / "job"), stderr=subprocess.PIPE, text=True)
        until(lambda: len(server.rendered) >= 18)
        client.send_signal(signal.SIGINT)
        if presses > 1:
            assert client.stderr is not None
            assert "finishing the current frames" in client.stderr.readline()
            client.send_signal(signal.SIGINT)
        _, events = client.communicate(timeout=60)
        assert client.returncode == 130
        until(lambda: server.running is None and not server.pending)
        kept = len(frames(tmp_path / "job"))
        if presses > 1:
            assert len(server.rendered) < 32
            assert kept < 32
        else:
            # The second prompt, of the frames from 16 to 31, was at work.
            assert kept == len(server.rendered) == 32
            assert re.search(r"28 of 60 frames left; run it again to continue", events)
        assert subprocess.run(command(server.url, path, tmp_path / "job"), check=False).returncode == 0
        assert once_each(server, 60)
    assert np.array_equal(frames(tmp_path / "job"), right(recipe(frames=60)))


def test_stopped_before_its_turn_a_run_leaves_the_queue_at_once(tmp_path: Path) -> None:
    with ComfyServer(seconds=0.2).started() as server:
        other = threading.Thread(target=run, args=(server.url, tmp_path / "other", recipe(frames=4, steps=3)))
        other.start()
        until(lambda: server.running is not None)
        engine = ComfyUI(server.url, batch=2, timeouts=QUICK)

        def stop() -> None:
            until(lambda: bool(server.pending))
            engine.cancel()

        threading.Thread(target=stop).start()
        with pytest.raises(Interrupted):
            render(recipe(), engine, tmp_path / "job", film=None)
        assert server.running is not None
        assert not server.pending
        other.join()
        assert once_each(server, 4)
