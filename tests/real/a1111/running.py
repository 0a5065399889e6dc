"""Runs of the script on a real A1111, watched while they last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.real.a1111.host import Answer, Host


def job(host: Host, answer: Answer) -> Path:
    return host.jobs / answer.about["Remix job"]


def frames_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "frames").glob("*.png"))}


def until(condition: Callable[[], Any], patience: float = 300) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def in_background(call: Callable[[], Answer]) -> tuple[threading.Thread, list[Answer]]:
    answers: list[Answer] = []

    def run() -> None:
        try:
            answers.append(call())
        except OSError:  # the server was killed
            return

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answers


def choose_in_page(host: Host, value: Any, **props: Any) -> None:
    """Sends what the page sends when a value is chosen in the box with these properties."""
    config = host.get("/config")
    boxes = {box["id"] for box in config["components"] if props.items() <= box["props"].items()}
    calls = [
        number
        for number, call in enumerate(config["dependencies"])
        if len(call["inputs"]) == 1 and boxes.intersection(call["inputs"]) and call["backend_fn"]
    ]
    assert calls
    for number in calls:
        body = {"fn_index": number, "data": [value], "session_hash": "test", "event_data": None}
        answer = requests.post(f"{host.url}/run/predict", json=body, timeout=host.patience)
        if not answer.ok:  # gradio 4 has these in its queue
            answer = requests.post(f"{host.url}/queue/join", json=body, timeout=host.patience)
        answer.raise_for_status()
