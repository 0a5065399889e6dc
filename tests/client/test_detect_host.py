"""The engine for an address: which host answers there, and the error if none does."""

from __future__ import annotations

import pytest

from remix.client.detect_host import engine_at
from remix.errors import BadInput, HostRefused, Unsupported
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer
from tests.fakes.faults import Answer, Asked, FaultyServer


@pytest.mark.parametrize(("server", "engine"), [(ComfyServer, "comfyui"), (A1111Server, "a1111")])
def test_the_host_at_an_address_names_the_engine(server: type[FaultyServer], engine: str) -> None:
    with server().started() as started:
        assert engine_at(started.url) == engine


def test_credentials_that_are_missing_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a login every path answers 401, so none of them says which host it is."""
    monkeypatch.setenv("WHO", "ann:SENTINEL")
    with A1111Server(auth="ann:SENTINEL").started() as server:
        with pytest.raises(HostRefused, match="authentication required"):
            engine_at(server.url)
        assert engine_at(server.url, "env:WHO") == "a1111"


class Website(FaultyServer):
    """Has none of the paths."""

    def answer(self, asked: Asked) -> Answer:
        return Answer(b"<html></html>", 404, "text/html")


def test_what_is_no_host_is_one_sentence() -> None:
    with Website().started() as server, pytest.raises(Unsupported, match="add --engine comfyui or --engine a1111"):
        engine_at(server.url)
    with pytest.raises(BadInput, match="http://"):
        engine_at("127.0.0.1:8188")
