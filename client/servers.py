"""Diagnoses a server: its software, models, and the settings that make its pictures differ from other tools."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from remix.catalog.families import FAMILIES
from remix.client.a1111 import scripted
from remix.client.a1111.models import ServerModels
from remix.client.a1111.plain import INSTALL as INSTALL_SCRIPT
from remix.client.a1111.server import API, body_of_invalid_reply
from remix.client.a1111.server import Server as A1111Server
from remix.client.address import is_loopback
from remix.client.auth import Auth
from remix.client.comfyui.names import LOADERS
from remix.client.comfyui.routes import NODE, lack_of_nodes
from remix.client.comfyui.server import Server as ComfyServer
from remix.client.diagnosis import DIFFERS, MISSING, Finding
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.client.statuses import SERVER_ERROR
from remix.client.timeouts import Timeouts
from remix.engine.pack import SUPPORTED, Pack
from remix.errors import BadReply, HostRefused, Unsupported
from remix.hosts.a1111.flags import UNREAD_BY_FORGE, flags_that_change_pictures, foreign_scripts, full_precision
from remix.hosts.a1111.settings import PORTABLE, unset_differences
from remix.hosts.comfyui.flags import EVERYWHERE, LOCAL, OTHER_MATHS, is_half, listening_addresses
from remix.plan.wording import cut, listed

OLDEST_COMFYUI = (0, 8)
SHOWN = 8
"""Largest number of models that are listed."""

TEXT_LOADERS = ("CLIPLoader", "DualCLIPLoader")
"""ComfyUI's nodes that list the families of their text encoders."""

TIMEOUT = 20.0
"""Timeout of each request in seconds."""

LONGEST_VALUE = 400
"""Largest length of a value in a line."""


def diagnose(
    url: str,
    auth: Auth | str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    ca: str | os.PathLike[str] | None = None,
    insecure: bool = False,
) -> list[Finding]:
    """Returns findings about the server at `url`: software, models, and settings that make its pictures differ.

    Raises `HostUnreachable` if nothing answers, `Unsupported` if the server is not ComfyUI, A1111 or Forge, and the
    errors of `Http`.
    """
    connect = partial(Http, url, auth, headers=headers, ca=ca, insecure=insecure)
    http = connect(timeout=TIMEOUT)
    mask = http.credentials.mask
    with presentable_errors(mask):
        if (about := _asked(http, "/system_stats")) is not None and "system" in about:
            found = _comfyui(ComfyServer(http, str(uuid.uuid4())), about)
        elif (flags := _flags(http)) is not None:
            found = _a1111(A1111Server(connect, Timeouts(request=TIMEOUT, status=TIMEOUT)), http, flags)
        else:
            found = iter(())
        findings = [
            replace(each, **{name: cut(mask(getattr(each, name)), LONGEST_VALUE) for name in ("what", "found", "mend")})
            for each in found
        ]
    if findings:
        return findings
    raise Unsupported(
        f"{http.address}: neither ComfyUI nor A1111 nor Forge answers there; is this the right address, and was an "
        "A1111 started with --api?"
    )


def _asked(http: Http, path: str) -> dict[str, Any] | None:
    """Returns a server's reply, or None if the path does not exist."""
    try:
        answer = http.get(path)
    except BadReply:  # HTML instead of JSON
        return None
    except HostRefused as error:
        if error.status in (404, 405):
            return None
        raise
    return answer if isinstance(answer, dict) else None


def _comfyui(server: ComfyServer, about: Mapping[str, Any]) -> Iterator[Finding]:
    system, listed_devices = about["system"], about.get("devices")
    if not isinstance(system, dict):
        raise BadReply(f"/system_stats: {type(system).__name__} where a table was expected; is this a ComfyUI server?")
    version = str(system.get("comfyui_version") or "unknown version")
    old = () < server.version() < OLDEST_COMFYUI
    yield Finding("ComfyUI", version, "update it: it is older than 0.8, the oldest supported" if old else "")
    yield Finding("PyTorch", str(system.get("pytorch_version") or "unknown version"))
    yield _nodes(server)
    yield from _families(server)
    yield _models("checkpoints", server.choices(*LOADERS["checkpoint"][:2]))
    devices = [str(device.get("name")) for device in _entries(listed_devices) if isinstance(device, dict)]
    flags = [str(word) for word in _entries(system.get("argv"))]
    on_cpu = "--cpu" in flags or devices == ["cpu"]
    full = on_cpu or "--force-fp32" in flags
    yield _precision("device", listed(devices) or "it does not say", full, "start the server with --force-fp32")
    for flag in flags:
        if is_half(flag):
            yield Finding("flag", flag, f"start the server without {flag}", DIFFERS)
        elif flag.startswith(OTHER_MATHS):
            yield Finding("flag", f"{flag}: last bits of colors differ", "nothing, where 55 dB will do", DIFFERS)
    yield _open(not all(map(is_loopback, listening_addresses(flags))), "--listen")


def _families(server: ComfyServer) -> Iterator[Finding]:
    """Yields the model families that the Remix nodes report, or else those that the server's text loaders list."""
    known = server.pack().families
    types = {each for loader in TEXT_LOADERS for each in server.choices(loader, "type")}
    rows = [row for row in FAMILIES.values() if (row.name in known if known else row.loader in types)]
    if titles := [row.title for row in rows]:
        yield Finding("families", f"prompts travel in {listed(titles, len(titles))}")


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _nodes(server: ComfyServer) -> Finding:
    if lacking := lack_of_nodes(server):
        fact, advice = lacking
        rendered = "" if server.inputs(NODE) else ": frames are rendered one by one"
        return Finding("Remix nodes", f"{fact}{rendered}", advice)
    return _installed("Remix nodes", server.pack(), "update the Remix nodes there")


def _installed(what: str, pack: Pack, update: str) -> Finding:
    lacking = [name for name in SUPPORTED if name not in pack.supports]
    if not lacking:
        return Finding(what, f"installed, version {pack.version}")
    version = f"version {pack.version}" if pack.version else "without a version"
    return Finding(what, f"installed, {version}: it is older, and {listed(lacking)} may differ", update)


def _flags(http: Http) -> Mapping[str, Any] | None:
    """Returns the flags of an A1111 or Forge server, or None for other servers.

    A Forge started with --port cannot list its flags, because its schema expects a string there. The flags are then
    read from the error.
    """
    try:
        return _asked(http, f"{API}/cmd-flags")
    except HostRefused as error:
        flags = body_of_invalid_reply(error)
        if flags is None or "api" not in flags:
            raise
        return flags


def _a1111(server: A1111Server, http: Http, flags: Mapping[str, Any]) -> Iterator[Finding]:
    models = server.models()
    version = (_asked(http, "/internal/sysinfo") or {}).get("Version")
    yield Finding("Forge" if models.forge else "A1111", str(version or "unknown version (it runs without its page)"))
    if scripted.NAME in models.scripts:
        yield _installed("Remix script", server.pack(), "update Remix Toolkit there")
    else:
        yield Finding("Remix script", "not installed: frames are rendered one by one", INSTALL_SCRIPT)
    tested = [row.title for row in FAMILIES.values() if ("forge" if models.forge else "a1111") in row.webui]
    yield Finding("families", f"prompts travel in {listed(tested)} (tested)")
    for remark in models.remarks:
        yield Finding("broken extension", remark, "find it in the server's console, and update or disable it")
    yield _models("checkpoints", [each.bare for each in models.checkpoints])
    full, advice = full_precision(flags, forge=models.forge)
    yield _precision("precision", "full" if full else "half where possible", full, advice)
    for flag, advice in flags_that_change_pictures(flags).items():
        yield Finding("flag", flag, advice, DIFFERS)
    yield from _settings(models, UNREAD_BY_FORGE if models.forge else frozenset())
    if others := foreign_scripts(_always_on(http), scripted.NAME, forge=models.forge):
        yield Finding("always-on scripts", listed(others), "turn them off, if they change pictures", DIFFERS)
    named = str(flags.get("server_name") or (EVERYWHERE if flags.get("listen") else LOCAL))
    yield _open(not is_loopback(named), "--listen or --server-name")
    if flags.get("share") or flags.get("ngrok"):
        yield _open(True, "--share")


def _settings(models: ServerModels, unread: Collection[str]) -> Iterator[Finding]:
    """Yields the settings that make a server's pictures differ, except `unread` ones, which it ignores."""
    options = {name: value for name, value in (models.options or {}).items() if name not in unread}
    other = {name: has for name, wanted in PORTABLE.items() if (has := options.get(name, wanted)) != wanted}
    by_hand = ", ".join(f"{name} to {PORTABLE[name]!r}" for name in other)
    for name, has in other.items():
        advice = f"remix sets these for each of its runs; for pictures made without it set {by_hand}"
        yield Finding(name, f"{has!r} (other tools work as with {PORTABLE[name]!r})", advice, DIFFERS)
    for name, has, mend in unset_differences(options.get):
        yield Finding(name, repr(has), mend, DIFFERS)
    if str(kind := options.get("samples_format", "png")).lower() != "png":
        yield Finding("samples_format", repr(kind), "set it to png: other formats are lossy", MISSING)


def _always_on(http: Http) -> list[str]:
    try:
        answer = http.get(f"{API}/script-info")
    except HostRefused as error:
        if error.status != SERVER_ERROR:
            raise
        return []
    return [str(each.get("name")) for each in answer if isinstance(each, dict) and each.get("is_alwayson")]


def _models(what: str, names: Sequence[str]) -> Finding:
    return Finding(what, listed(names, SHOWN) or "none", "" if names else "put one there")


def _precision(what: str, found: str, full: bool, mend: str) -> Finding:
    if full:
        return Finding(what, f"{found}, float32")
    return Finding(what, f"{found}: half precision, colors differ by a little", mend, DIFFERS)


def _open(anybody: bool, flag: str) -> Finding:
    if not anybody:
        return Finding("listens", "on this machine only")
    return Finding("listens", f"to the whole network ({flag})", "leave it out, or protect it with a password", MISSING)
