"""What tests of the local engine share; none reaches a hub, or finds what the machine's user has fetched."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.client.local import tiny


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any try to reach a hub is an error, and nothing was fetched before.

    A thread that an earlier test left, which asks a server that is gone, is refused as that server would.
    """
    earlier = set(threading.enumerate()) - {threading.current_thread()}

    def refuse(*args: Any, **kwargs: Any) -> None:
        if threading.current_thread() in earlier:
            raise ConnectionRefusedError
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Stable Diffusion, which no test changes."""
    return tiny.stable_diffusion(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(sound, tmp_path / "folder"))
