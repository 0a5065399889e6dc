"""Unread messages of a server take little memory, whatever it sends."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

import pytest

from remix.client.events import LARGEST, LONGEST_ID, WAITING, Events, Message
from remix.client.http import Http
from tests.fakes.comfyui_server import ComfyServer


def preview(number: int, size: int = 2**20) -> bytes:
    """A binary message whose picture begins with a number."""
    return struct.pack(">IIQ", 1, 1, number) + bytes(size)


@pytest.fixture
def server() -> Iterator[ComfyServer]:
    with ComfyServer().started() as server:
        yield server


def listening(server: ComfyServer, *, previews: bool = True) -> Events:
    """Listens on a server; the socket is open."""
    endpoint = Http(server.url).endpoint("/ws", {"clientId": "me"})
    events = Events(endpoint, previews=previews, first_pause=0.01)
    events.start()
    while not server._sockets:
        time.sleep(0.001)
    return events


def taken(events: Events) -> list[Message]:
    """Returns the messages before the one that reports an end."""
    found: list[Message] = []
    while not any(message.kind == "end" for message in found):
        found += events.wait(5)
    return found


def test_of_a_flood_of_previews_only_the_last_is_kept(server: ComfyServer) -> None:
    events = listening(server)
    try:
        for number in range(60):
            server.say_bytes(preview(number))
        server.say_text("execution_success", prompt_id="x")
        while not events._messages.qsize() >= 2:  # the first preview's mark, and the end
            time.sleep(0.001)
        kept = [message for message in taken(events) if message.kind == "preview"]
    finally:
        events.close()
    assert [struct.unpack_from(">Q", message.data) for message in kept] == [(59,)]


def test_a_preview_that_comes_after_one_was_taken_is_kept_too(server: ComfyServer) -> None:
    events = listening(server)
    try:
        for number in range(3):
            server.say_bytes(preview(number, 10))
            (message,) = [message for message in events.wait(5) if message.kind == "preview"] or events.wait(5)
            assert struct.unpack_from(">Q", message.data) == (number,)
    finally:
        events.close()


def test_previews_that_nobody_asked_for_are_dropped_as_they_come(server: ComfyServer) -> None:
    events = listening(server, previews=False)
    try:
        for number in range(3):
            server.say_bytes(preview(number))
        server.say_text("execution_success", prompt_id="x")
        assert [message.kind for message in taken(events)] == ["end"]
        assert events._preview is None
    finally:
        events.close()


def test_messages_and_their_ids_are_bounded(server: ComfyServer) -> None:
    events = listening(server)
    try:
        for _ in range(WAITING + 50):
            server.say_text("progress", prompt_id="x" * 10_000, value=1, max=2)
        server.say_text("progress", prompt_id="x" * (LARGEST + 1), value=1, max=2)  # ends the socket
        while server.asked.count("GET /ws") < 2:
            time.sleep(0.001)
        found = events.wait(5)
    finally:
        events.close()
    progress = [message for message in found if message.kind == "progress"]
    assert len(progress) == WAITING
    assert {len(message.prompt) for message in progress} == {LONGEST_ID}
