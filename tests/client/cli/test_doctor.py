"""`remix doctor --url`: its report on a server, from replies of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from remix import __version__
from remix.client import cli
from remix.client.comfyui import server as comfy_server
from remix.engine.pack import SUPPORTED, report
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer
from tests.fakes.faults import Answer, FaultyServer

CERTIFICATES = Path(__file__).parents[2] / "fakes" / "certificates"


@pytest.fixture
def a1111() -> Iterator[A1111Server]:
    server = A1111Server(script=True)
    with server.started():
        yield server


def doctor(capsys: pytest.CaptureFixture[str], server: FaultyServer, *words: str) -> tuple[int, str]:
    code = cli.main(["doctor", "--url", server.url, *words])
    output = capsys.readouterr()
    return code, " ".join((output.out + output.err).split())


def test_a_comfyui_that_is_as_others_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    server = ComfyServer()
    with server.started():
        code, output = doctor(capsys, server)
    assert code == 0
    assert output == (
        f"ComfyUI 0.33.0 ok PyTorch 2.13.0+cpu ok Remix nodes installed, version {__version__} ok "
        "checkpoints sd15.safetensors, folder/other.ckpt ok device cpu, float32 ok listens on this machine only ok"
    )


def test_the_families_that_a_comfyui_can_load_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    types = {"CLIPLoader": ["stable_diffusion", "wan", "flux2", "krea2"], "DualCLIPLoader": ["sdxl", "hunyuan_video"]}
    choices = comfy_server.Server.choices

    def with_loaders(self: comfy_server.Server, kind: str, name: str, **options: Any) -> list[str]:
        return types.get(kind) or choices(self, kind, name, **options)

    monkeypatch.setattr(comfy_server.Server, "choices", with_loaders)
    server = ComfyServer()
    with server.started():
        code, output = doctor(capsys, server)
    assert (code, "families prompts travel in SD 1.5, SD 2.1, SDXL, Flux.2, Krea 2 ok" in output) == (0, True), output


def test_nodes_name_families_that_have_no_text_loader_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    server = ComfyServer()
    server.report = report(None, ["sd1", "hidream_o1", "ernie", "anima", "of a later version"])
    with server.started():
        code, output = doctor(capsys, server)
    assert "families prompts travel in SD 1.5, HiDream O1, Ernie-Image, Anima ok" in output
    assert code == 0


@pytest.mark.parametrize(
    ("argv", "code", "line"),
    [
        (["main.py", "--cpu", "--fp16-unet"], 0, "flag --fp16-unet differs"),
        (["main.py", "--cpu", "--bf16-vae"], 0, "to align: flag: start the server without --bf16-vae"),
        (["main.py"], 0, "device cpu, float32 ok"),
        (["main.py", "--cpu", "--listen"], 1, "listens to the whole network (--listen) missing"),
        *(
            (["main.py", "--cpu", *flags], 1, "listens to the whole network (--listen) missing")
            for flags in (
                ["--listen", "0.0.0.0"],
                ["--listen=0.0.0.0"],
                ["--listen", "192.168.1.5"],
                ["--listen", "127.0.0.1,0.0.0.0"],
                ["--listen", "::1,::"],
                ["--listen", "--port", "8188"],
                ["--listen="],
                ["--listen", "127.0.0.1", "--listen"],
            )
        ),
        *(
            (["main.py", "--cpu", *flags], 0, "listens on this machine only ok")
            for flags in (
                ["--listen", "127.0.0.1"],
                ["--listen=localhost"],
                ["--listen", "127.0.0.1, ::1"],
                ["--listen", "0.0.0.0", "--listen=127.2.2.2"],
                ["--enable-cors-header", "http://0.0.0.0"],
            )
        ),
        (["main.py", "--cpu", "--use-split-cross-attention"], 0, "--use-split-cross-attention: last bits of colors"),
    ],
)
def test_flags_of_comfyui_that_change_pictures_are_named(
    argv: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ComfyServer()
    with server.started():
        server.argv = argv
        found, output = doctor(capsys, server)
    assert (found, line in output) == (code, True), output


@pytest.mark.parametrize("version", ["0.33.²", "0.33." + "9" * 5_000])
def test_a_version_that_is_no_number_is_told_as_it_is(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with ComfyServer(version=version).started() as server:
        code, output = doctor(capsys, server)
    shown = version if len(version) < 400 else f"{version[:397]}..."
    assert (code, output.startswith(f"ComfyUI {shown} ok")) == (0, True)


def test_what_a_server_says_of_itself_is_not_obeyed_by_the_terminal(
    a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    a1111.script_info += [{"name": "\x1b]0;owned\x07\x9b2J", "is_alwayson": True, "is_img2img": False, "args": []}]
    assert r"always-on scripts \u001b]0;owned\u0007\u009b2J differs" in doctor(capsys, a1111)[1]


def test_a_comfyui_that_is_old_and_has_no_nodes_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    server = ComfyServer(pack=False, version="0.3.64")
    with server.started():
        code, output = doctor(capsys, server)
    assert code == 1
    assert "ComfyUI 0.3.64 missing" in output
    assert "to fix: update it: it is older than 0.8, the oldest supported" in output
    assert "to fix: install the Remix nodes on the server" in output


@pytest.mark.parametrize("server", [ComfyServer(), A1111Server(script=True)], ids=["comfyui", "a1111"])
def test_older_nodes_and_scripts_are_reported(
    capsys: pytest.CaptureFixture[str], server: ComfyServer | A1111Server
) -> None:
    server.report = None
    with server.started():
        code, output = doctor(capsys, server)
    assert code == 1
    older = f"installed, without a version: it is older, and {', '.join(SUPPORTED)} may differ missing"
    assert older in output
    assert "to fix: update " in output


def test_settings_of_a1111_that_requests_set_are_told_apart(
    a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = doctor(capsys, a1111)
    assert code == 0
    assert f"Remix script installed, version {__version__} ok" in output
    assert "precision full, float32 ok" in output
    assert "comma_padding_backtrack 20 (other tools work as with 0) differs" in output
    assert "remix sets these for each of its runs; for pictures made without it set" in output
    assert "emphasis to 'No norm'" in output


@pytest.mark.parametrize(
    ("options", "flags", "code", "line"),
    [
        ({"randn_source": "GPU"}, {}, 0, "randn_source 'GPU' (other tools work as with 'CPU') differs"),
        ({"eta_noise_seed_delta": 31337}, {}, 0, "eta_noise_seed_delta 31337 (other tools work as with 0) differs"),
        ({"token_merging_ratio": 0.5}, {}, 0, "token_merging_ratio 0.5"),
        ({"CLIP_stop_at_last_layers": 2}, {}, 0, "to align: CLIP_stop_at_last_layers: write clip_skip = 2 below"),
        ({"sd_vae": "other.pt"}, {}, 0, 'to align: sd_vae: write vae = "other.pt" below [model]'),
        ({"hypertile_enable_unet": True}, {}, 0, "hypertile_enable_unet: turn it off in Settings, Hypertile"),
        ({"upcast_attn": True}, {}, 0, "upcast_attn: turn it off"),
        ({"sdxl_crop_left": 64}, {}, 0, "sdxl_crop_left: set it to 0"),
        ({"samples_format": "jpg"}, {}, 1, "to fix: set it to png"),
        ({}, {"no_half": False, "precision": "autocast"}, 0, "precision half where possible: half precision"),
        ({}, {"xformers": True}, 0, "flag --xformers differs"),
        ({}, {"listen": True, "server_name": None}, 1, "listens to the whole network (--listen or --server-name)"),
        ({}, {"listen": False, "server_name": None}, 0, "listens on this machine only ok"),
        ({}, {"listen": True, "server_name": "127.0.0.1"}, 0, "listens on this machine only ok"),  # the name holds
        ({}, {"server_name": "192.168.1.5"}, 1, "listens to the whole network (--listen or --server-name)"),
        ({}, {"server_name": "::"}, 1, "listens to the whole network (--listen or --server-name)"),
        ({}, {"share": True}, 1, "listens to the whole network (--share)"),
    ],
)
def test_what_makes_pictures_of_a1111_differ_is_named_with_what_aligns_it(
    options: Mapping[str, Any],
    flags: Mapping[str, Any],
    code: int,
    line: str,
    a1111: A1111Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a1111.options.update(options)
    a1111.flags.update(flags)
    found, output = doctor(capsys, a1111)
    assert (found, line in output) == (code, True), output


def test_forge_is_told_from_a1111_and_scripts_of_others_are_listed(
    a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("controlnet", "freeu integrated (sd 1.x, sd 2.x, sdxl)", "adetailer")
    a1111.script_info += [{"name": name, "is_alwayson": True, "is_img2img": False, "args": []} for name in names]
    assert f"always-on scripts {', '.join(sorted(names))} differs" in doctor(capsys, a1111)[1]
    a1111.options["forge_preset"] = "sd"
    _, output = doctor(capsys, a1111)
    assert output.startswith("Forge ")
    assert "always-on scripts adetailer differs" in output


def test_what_a_forge_has_and_does_not_go_by_is_not_told_of(
    a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    a1111.options |= {"enable_quantization": False, "upcast_attn": True}
    assert "upcast_attn True differs" in doctor(capsys, a1111)[1]
    a1111.options["forge_unet_storage_dtype"] = "float8-e4m3fn"
    _, output = doctor(capsys, a1111)
    assert "enable_quantization" not in output
    assert "upcast_attn" not in output
    assert "to align: forge_unet_storage_dtype: set Diffusion in Low Bits to Automatic" in output


def test_a_forge_that_cannot_say_its_flags_is_read_off_its_error(
    a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    a1111.options["forge_preset"] = "sd"
    a1111.flags, a1111.says_flags = {"api": True, "always_cpu": True, "port": 7860}, False
    _, output = doctor(capsys, a1111)
    assert "precision full, float32 ok" in output


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"no_half": True, "precision": "full"}, "precision half where possible: half precision, colors differ"),
        ({}, "to align: precision: start with --all-in-fp32 --clip-in-fp32"),
        ({"all_in_fp32": True}, "precision full, float32 ok"),
        ({"always_cpu": True}, "precision full, float32 ok"),
        ({"unet_in_fp8_e4m3fn": True}, "flag --unet-in-fp8-e4m3fn differs"),
    ],
)
def test_the_precision_of_forge_is_told_by_the_flags_that_it_reads(
    flags: Mapping[str, Any], line: str, a1111: A1111Server, capsys: pytest.CaptureFixture[str]
) -> None:
    a1111.options["forge_preset"] = "sd"
    a1111.flags = flags
    assert line in doctor(capsys, a1111)[1]


def test_a_server_without_the_script_is_told_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    server = A1111Server()
    with server.started():
        code, output = doctor(capsys, server)
    assert code == 1
    assert "to fix: install Remix Toolkit there (Extensions, Install from URL" in output


def test_a_secret_is_asked_for_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHO", "me:SENTINEL")
    server = A1111Server(script=True, auth="me:SENTINEL")
    with server.started():
        code, output = doctor(capsys, server)
        assert code == 1
        assert "authentication required; pass --auth" in output
        code, output = doctor(capsys, server, "--auth", "env:WHO")
    assert code == 0
    assert "SENTINEL" not in output


def test_another_server_is_neither(capsys: pytest.CaptureFixture[str]) -> None:
    server = A1111Server(without=("cmd-flags",))
    with server.started():
        code, output = doctor(capsys, server)
    assert code == 2
    assert "neither ComfyUI nor A1111 nor Forge answers there" in output


def test_the_way_to_a_server_is_the_same_as_in_render(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIX_KEY", "SENTINEL-91c2")
    with ComfyServer(certificate=CERTIFICATES / "localhost.pem").started() as server:
        code, output = doctor(capsys, server, "--header", "X-API-Key=env:REMIX_KEY")
        assert (code, "pass --ca FILE" in output) == (1, True)
        trusted = ["--ca", str(CERTIFICATES / "authority.pem")]
        code, output = doctor(capsys, server, "--header", "X-API-Key=env:REMIX_KEY", *trusted)
        assert (code, output.startswith("ComfyUI 0.33.0 ok")) == (0, True)
        assert server.headers[-1]["X-API-Key"] == "SENTINEL-91c2"
        code, output = doctor(capsys, server, "--header", "X-API-Key=SENTINEL-91c2", *trusted)
    assert (code, "SENTINEL" in output) == (2, False)
    assert "X-API-Key: no such file; give env:NAME" in output


def test_a_list_that_an_extension_breaks_is_reported(a1111: A1111Server, capsys: pytest.CaptureFixture[str]) -> None:
    a1111.broken["options"] = Answer(b"Internal Server Error", 500, "text/plain")
    code, output = doctor(capsys, a1111)
    assert code == 1
    assert "broken extension the server fails to list its settings" in output
