"""What runs at an address, and what about it makes its pictures differ from those of other tools."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from remix.client.a1111 import scripted
from remix.client.a1111.plain import INSTALL as INSTALL_SCRIPT
from remix.client.a1111.server import API
from remix.client.a1111.server import Server as A1111Server
from remix.client.a1111.stock import Stock
from remix.client.address import is_loopback
from remix.client.auth import Auth
from remix.client.comfyui.names import LOADERS
from remix.client.comfyui.routes import INSTALL as INSTALL_NODES
from remix.client.comfyui.routes import PACK
from remix.client.comfyui.server import Server as ComfyServer
from remix.client.diagnosis import DIFFERS, MISSING, Finding
from remix.client.http import Http
from remix.client.masking import errors_masked, listed
from remix.errors import BadReply, HostRefused, Unsupported
from remix.hosts.a1111.settings import PORTABLE, left_over

OLDEST_COMFYUI = (0, 8)
SHOWN = 8
"""How many names of models are shown."""

WITHIN = 20.0
"""Seconds in which a server has to answer a question."""

HALF = ("fp16", "bf16", "fp8", "fast")
"""Words in flags of ComfyUI that say that something is computed in less than float32."""

OTHER_MATHS = ("--use-", "--force-upcast-attention", "--dont-upcast-attention", "--deterministic")

LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"
"""Where a server listens that is told nothing, and one that is told to listen and not where."""

BUILT_IN = frozenset({"extra options", "refiner", "sampler", "seed", "soft inpainting", "comments", "hypertile"})
"""A1111's own scripts that are always on, and do nothing unless they are told to."""

BUILT_INTO_FORGE = ("controlnet", " integrated")
"""What the names of Forge's own such scripts hold."""

UNREAD_BY_FORGE = frozenset(
    {
        *("enable_quantization", "pad_cond_uncond", "pad_cond_uncond_v0", "sdxl_clip_l_skip", "upcast_attn"),
        "fp8_storage",
    }
)
"""Settings that Forge has and does not go by; it always tells a model the nearest of its noise levels."""

FLAGS: Mapping[str, str] = {
    "upcast_sampling": "start the server without --upcast-sampling",
    "opt_sdp_attention": "last bits differ; --opt-sdp-no-mem-attention is repeatable",
    "xformers": "last bits differ from run to run; start the server without --xformers",
}

HALVED = ("_in_fp16", "_in_bf16", "_in_fp8_e4m3fn", "_in_fp8_e5m2")
"""How those of Forge's flags end that take numbers of fewer bits for a part of the model."""


def diagnose(url: str, auth: Auth | str | None = None, *, insecure: bool = False) -> list[Finding]:
    """Returns what is found of the server at `url`: which it is, what it has, and what makes its pictures differ.

    Raises `HostUnreachable` where nothing answers, `Unsupported` where it is neither ComfyUI nor A1111 nor Forge, and
    what `Http` raises.
    """
    http = Http(url, auth, insecure=insecure, within=WITHIN)
    with errors_masked(http.auth.masked):
        if (about := _asked(http, "/system_stats")) is not None and "system" in about:
            found = _comfyui(ComfyServer(http, str(uuid.uuid4())), about)
        elif (flags := _flags(http)) is not None:
            found = _a1111(A1111Server(url, auth, insecure=insecure, beside=WITHIN), http, flags)
        else:
            found = iter(())
        masked = http.auth.masked
        findings = [replace(each, what=masked(each.what), found=masked(each.found)) for each in found]
    if findings:
        return findings
    raise Unsupported(
        f"{http.address}: neither ComfyUI nor A1111 nor Forge answers there; is this the right address, and was an "
        "A1111 started with --api?"
    )


def _asked(http: Http, path: str) -> dict[str, Any] | None:
    """What a server says, None where it has no such thing."""
    try:
        answer = http.get(path)
    except BadReply:  # a page where JSON was expected
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
    version = str(system.get("comfyui_version") or "it does not say which")
    old = () < server.version() < OLDEST_COMFYUI
    yield Finding("ComfyUI", version, "update it: it is older than 0.8, the oldest supported" if old else "")
    yield _nodes(server)
    yield _models("checkpoints", server.choices(*LOADERS["checkpoint"][:2]))
    devices = [str(device.get("name")) for device in _entries(listed_devices) if isinstance(device, dict)]
    flags = [str(word) for word in _entries(system.get("argv"))]
    on_cpu = "--cpu" in flags or devices == ["cpu"]
    full = on_cpu or "--force-fp32" in flags
    yield _precision("device", listed(devices) or "it does not say", full, "start the server with --force-fp32")
    for flag in flags:
        if flag.startswith("--") and any(word in flag for word in HALF):
            yield Finding("flag", flag, f"start the server without {flag}", DIFFERS)
        elif flag.startswith(OTHER_MATHS):
            yield Finding("flag", f"{flag}: last bits of colours differ", "nothing, where 55 dB will do", DIFFERS)
    yield _open(any(not is_loopback(place) for place in _places(flags)), "--listen")


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _places(flags: Sequence[str]) -> list[str]:
    """The addresses at which a ComfyUI listens; the last --listen holds, and one without an address is all of them."""
    said = LOCAL
    for flag, after in zip(flags, [*flags[1:], "--"], strict=True):
        name, sign, value = flag.partition("=")
        if name == "--listen":
            said = value if sign else EVERYWHERE if after.startswith("-") else after
    return [place.strip() for place in said.split(",")]


def _nodes(server: ComfyServer) -> Finding:
    for kind, wanted in PACK.items():
        have = server.inputs(kind)
        if not have:
            return Finding("Remix nodes", "not there: frames go one by one, as far as that gives them", INSTALL_NODES)
        if missing := [name for name in wanted if name not in have]:
            return Finding("Remix nodes", f"older: {kind} has no {missing[0]!r}", "update the Remix nodes there")
    return Finding("Remix nodes", "there")


def _flags(http: Http) -> Mapping[str, Any] | None:
    """What an A1111 or Forge was started with; None where there is neither.

    A Forge that was told its port cannot say it: its own check wants a text there. Its error holds all of it.
    """
    try:
        return _asked(http, f"{API}/cmd-flags")
    except HostRefused as error:
        said = error.body.get("body") if isinstance(error.body, Mapping) else None
        if not isinstance(said, Mapping) or "api" not in said:
            raise
        return said


def _a1111(server: A1111Server, http: Http, flags: Mapping[str, Any]) -> Iterator[Finding]:
    stock = server.stock()
    version = (_asked(http, "/internal/sysinfo") or {}).get("Version")
    yield Finding(
        "Forge" if stock.forge else "A1111", str(version or "it does not say which version (it runs without a page)")
    )
    there = scripted.NAME in stock.scripts
    absent = "not there: frames go one by one, as far as that gives them"
    yield Finding("Remix script", "there" if there else absent, "" if there else INSTALL_SCRIPT)
    yield _models("checkpoints", [each.bare for each in stock.checkpoints])
    yield _of_flags(flags, stock.forge)
    halved = {name: f"start the server without --{_dashed(name)}" for name in flags if name.endswith(HALVED)}
    for flag, mend in {**FLAGS, **halved}.items():
        if flags.get(flag):
            yield Finding("flag", f"--{_dashed(flag)}", mend, DIFFERS)
    yield from _settings(stock, UNREAD_BY_FORGE if stock.forge else frozenset())
    others = sorted(set(_always_on(http)) - BUILT_IN - {scripted.NAME})
    others = [name for name in others if not (stock.forge and any(part in name for part in BUILT_INTO_FORGE))]
    if others:
        yield Finding("always-on scripts", listed(others), "turn them off, if they change pictures", DIFFERS)
    named = str(flags.get("server_name") or (EVERYWHERE if flags.get("listen") else LOCAL))
    yield _open(not is_loopback(named), "--listen or --server-name")
    if flags.get("share") or flags.get("ngrok"):
        yield _open(True, "--share")


def _of_flags(flags: Mapping[str, Any], forge: bool) -> Finding:
    """The precision that the flags say. Forge knows A1111's and reads them nowhere."""
    if forge:
        full, mend = (
            bool(flags.get("always_cpu") or flags.get("all_in_fp32")),
            "start with --all-in-fp32 --clip-in-fp32",
        )
    else:
        full = bool(flags.get("no_half")) or str(flags.get("precision")) == "full"
        mend = "start with --no-half --precision full"
    return _precision("precision", "full" if full else "half where it can", full, mend)


def _dashed(flag: str) -> str:
    return flag.replace("_", "-")


def _settings(stock: Stock, unread: Collection[str]) -> Iterator[Finding]:
    """The settings that make a server's own pictures other ones; those that requests of ours set are told apart.

    What is `unread` there makes none.
    """
    options = {name: has for name, has in stock.options.items() if name not in unread}
    other = {name: has for name, wanted in PORTABLE.items() if (has := options.get(name, wanted)) != wanted}
    by_hand = ", ".join(f"{name} to {PORTABLE[name]!r}" for name in other)
    for name, has in other.items():
        mend = f"remix sets these for each run of its own; for pictures made without it set {by_hand}"
        yield Finding(name, f"{has!r} (in other tools it is as {PORTABLE[name]!r})", mend, DIFFERS)
    for name, has, mend in left_over(options.get):
        yield Finding(name, repr(has), mend, DIFFERS)
    if str(kind := options.get("samples_format", "png")).lower() != "png":
        yield Finding("samples_format", repr(kind), "set it to png: other pictures have lost something", MISSING)


def _always_on(http: Http) -> list[str]:
    answer = http.get(f"{API}/script-info")
    return [str(each.get("name")) for each in answer if isinstance(each, dict) and each.get("is_alwayson")]


def _models(what: str, names: Sequence[str]) -> Finding:
    return Finding(what, listed(names, SHOWN) or "none", "" if names else "put one there")


def _precision(what: str, found: str, full: bool, mend: str) -> Finding:
    if full:
        return Finding(what, f"{found}, float32")
    return Finding(what, f"{found}: half precision, colours differ by a little", mend, DIFFERS)


def _open(anybody: bool, flag: str) -> Finding:
    if not anybody:
        return Finding("listens", "on this machine alone")
    return Finding(
        "listens", f"to anybody in the network ({flag})", "leave it out, or put a password before it", MISSING
    )
