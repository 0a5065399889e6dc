"""Requests: complete replies are returned, incomplete ones are errors within the timeout, and secrets stay secret."""

from __future__ import annotations

import json
import logging
import time
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest

from remix.client.address import parse_address
from remix.client.auth import Auth, read_auth
from remix.client.http import METADATA_LIMIT, Http
from remix.client.statuses import LONGEST_WAIT
from remix.errors import BadInput, BadReply, HostError, HostRefused, HostSilent, HostUnreachable
from remix.motion.pictures import png_bytes
from tests.fakes.faults import Answer, Asked, Fault, FaultyServer
from tests.fakes.proxy import Proxy, Toxic

PICTURE = np.arange(16 * 8 * 3, dtype=np.uint8).reshape(8, 16, 3)
SENTINEL = "SENTINEL-0f3c"


class Echo(FaultyServer):
    """Answers what it was asked, a picture, or somewhere else."""

    reply = Answer()

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/said":
            return self.reply
        if asked.path == "/view":
            return Answer(png_bytes(PICTURE), kind="image/png")
        if asked.path == "/elsewhere":
            return Answer(b"", 302, headers={"Location": self.url + "/view"})
        if asked.path == "/wrong":
            return Answer({"error": f"no, {asked.headers.get('Authorization')}"}, 400)
        return Answer({"path": asked.path, "query": asked.query, "body": asked.body.decode("latin-1")})


def client(server: FaultyServer, auth: Auth | str | None = None) -> Http:
    return Http(server.url, auth, pause=lambda seconds: None)


def test_json_goes_out_and_comes_back_below_a_prefix() -> None:
    with Echo(prefix="/some/prefix").started() as server:
        http = client(server)
        assert http.get("/a", {"name": "ö /&"}) == {"path": "/a", "query": {"name": "ö /&"}, "body": ""}
        assert http.post("/b", {"x": [1]})["body"] == '{"x": [1]}'
        assert 'name="image"; filename="x.png"' in http.upload("/c", {"type": "input"}, "x.png", b"data")["body"]
        assert np.array_equal(http.get_picture("/view", {"filename": "a.png"}), PICTURE)


@pytest.mark.parametrize("do", ["cut", "cut_head", "reset", "refuse", "status", "garbage", "lie_length"])
def test_a_get_is_tried_again_after_any_fault(do: str) -> None:
    with Echo(
        [Fault("/view", 1, do, at={"status": 503, "cut_head": 0}.get(do, 20)), Fault("/view", 2, do)]
    ).started() as server:
        assert np.array_equal(client(server).get_picture("/view", {}), PICTURE)
        assert server.asked == ["GET /view"] * 3


@pytest.mark.parametrize(
    ("do", "error"), [("reset", HostSilent), ("cut", HostError), ("cut_head", BadReply), ("status", HostRefused)]
)
def test_a_post_that_may_have_been_done_is_not_sent_again(do: str, error: type[HostError]) -> None:
    with Echo([Fault("/work", 1, do)]).started() as server, pytest.raises(error):
        client(server).post("/work", {})
    assert server.asked == ["POST /work"]


def test_what_was_never_sent_is_tried_again_also_when_it_is_a_post() -> None:
    server = Echo()
    with server.started():
        pass
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        server.start()

    assert Http(server.url, pause=pause).post("/work", 1)["body"] == "1"
    server.stop()
    assert len(pauses) == 1
    with pytest.raises(
        HostUnreachable, match=r"nothing answers \(Connection refused\); is the server running there\?$"
    ):
        client(server).post("/work", 1)


@pytest.mark.parametrize("do", ["drip", "stall"])
def test_a_call_is_over_in_time_whatever_drips(do: str) -> None:
    with Echo([Fault("/", 0, do)]).started() as server:
        before = time.monotonic()
        with pytest.raises(HostSilent, match=r"/work: no complete answer within 0.3 s"):
            client(server).post("/work", {}, timeout=0.3)
        assert time.monotonic() - before < 2


def test_headers_that_drip_are_over_in_time_too() -> None:
    with (
        Echo().started() as server,
        Proxy(server.url, Toxic("slicer", 1)).started() as proxy,
        pytest.raises(HostSilent, match=r"no complete answer within 0.2 s"),
    ):
        Http(proxy.url).post("/work", "x", timeout=0.2)


LONG = "x" * 16_000_000
"""More than the buffers of two connections hold."""


@pytest.mark.parametrize("kept", [False, True])
def test_what_takes_longer_to_send_than_to_connect_is_sent_once_and_whole(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remix.client.transport.CONNECT", 0.1)
    with Echo().started() as server, Proxy(server.url, Toxic("upload", 40_000)).started() as proxy:
        http = Http(proxy.url)
        if kept:
            http.post("/small", 1)
        before = time.monotonic()
        assert len(http.post("/work", LONG)["body"]) == len(LONG) + 2
        assert time.monotonic() - before > 0.2
        assert server.asked[kept:] == ["POST /work"]


def test_what_nobody_reads_is_given_up_in_time() -> None:
    with (
        Echo().started() as server,
        Proxy(server.url, Toxic("upload", 1)).started() as proxy,
    ):
        before = time.monotonic()
        with pytest.raises(HostSilent, match=r"/work: no complete answer within 0.3 s"):
            Http(proxy.url).post("/work", LONG, timeout=0.3)
        assert time.monotonic() - before < 2
        assert server.asked == []


@pytest.mark.parametrize("spelled", ["chunked", "Chunked", "CHUNKED"])
def test_an_answer_in_chunks_is_read_however_that_is_spelled(spelled: str) -> None:
    with Echo().started() as server:
        server.reply = Answer({"a": 1}, headers={"Transfer-Encoding": spelled})
        assert client(server).get("/said") == {"a": 1}


@pytest.mark.parametrize("announced", ["9" * 5_000, "²", "-1"])
def test_a_length_that_is_none_is_a_bad_reply(announced: str) -> None:
    with Echo().started() as server:
        server.reply = Answer({"a": 1}, headers={"Content-Length": announced})
        with pytest.raises(BadReply, match="Content-Length is not a number"):
            client(server).post("/said", {})


def test_a_redirect_is_an_error_and_not_followed() -> None:
    with Echo().started() as server, pytest.raises(HostRefused, match="302: redirects are not followed"):
        client(server).get("/elsewhere")
    assert server.asked == ["GET /elsewhere"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 524, 530])
def test_a_status_that_may_pass_is_waited_for(status: int) -> None:
    faults = [Fault("/said", 1, "status", status), Fault("/said", 2, "status", status)]
    with Echo(faults).started() as server:
        server.reply = Answer({"a": 1})
        assert client(server).get("/said") == {"a": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 501])
def test_a_status_that_stays_is_told_at_once(status: int) -> None:
    with Echo([Fault("/said", 0, "status", status)]).started() as server, pytest.raises(HostRefused) as refused:
        client(server).get("/said")
    assert refused.value.status == status
    assert server.asked == ["GET /said"]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        ("100000", LONGEST_WAIT, LONGEST_WAIT),
        ("soon", 0.5, 0.5),
        ("-3", 0.5, 0.5),
        ("1e3", 0.5, 0.5),
        ("9" * 400, 0.5, 0.5),
        ("Sun, 99 Foo 99999999 00:00:00 GMT", 0.5, 0.5),
        ("Mon, 01 Jan 1900 00:00:00 GMT", 0.5, 0.5),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 0.5, LONGEST_WAIT),
        ("in 50 s", 40, 50),
    ],
)
def test_as_long_as_the_server_asks_is_waited(header: str, least: float, most: float) -> None:
    waited: list[float] = []
    header = formatdate(time.time() + 50, usegmt=True) if header == "in 50 s" else header
    with Echo().started() as server:
        server.reply = Answer(b"", 429, headers={"Retry-After": header, "Content-Length": "0"})
        with pytest.raises(HostRefused):
            Http(server.url, pause=waited.append).get("/said")
    assert least <= waited[0] <= most


@pytest.mark.parametrize(
    ("status", "page", "shown"),
    [
        (413, "<html>\r\n<head><title>413 Request Entity Too Large</title>", "raise its limit (nginx: client_max_body"),
        (403, "<html><head><title>403 Forbidden</title></head><body><h1>", "403: 403 Forbidden"),
        (400, "<title>400 The plain HTTP request was sent to HTTPS port</title>", "write https:// in the address"),
        (504, "<html>", "the proxy in front of the server gave up waiting"),
        (403, '<TITLE lang="en">\nAttention Required!\n</TITLE ><script>', "403: Attention Required!"),
        (403, "<html><body>Blocked by <b>us</b></body></html>", "403: Forbidden"),
        (403, "\ufeff  <!-- " + "x" * 3000 + "--><html><title>Access denied</title>", "403: Access denied"),
        (401, "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "401"),
        (413, "<title>" + "<b>" * 1000 + "</title>", "raise its limit"),
    ],
)
def test_a_proxy_is_quoted_in_a_sentence_and_not_in_html(status: int, page: str, shown: str) -> None:
    with Echo().started() as server:
        server.reply = Answer(page.encode(), status, "text/html")
        with pytest.raises(HostRefused) as refused:
            client(server).post("/said", {})
    assert shown in str(refused.value)
    assert "<" not in str(refused.value)


def test_credentials_that_are_refused_are_told_from_those_that_are_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIX_TEST_KEY", "x")
    with Echo().started() as server:
        server.reply = Answer({}, 401)
        with pytest.raises(HostRefused, match="401: authentication required; pass --auth"):
            client(server).post("/said", {})
        host = server.url.removeprefix("http://")
        for refused in (
            client(server, Auth("x")),
            client(server, Auth("x", "me")),
            Http(f"http://me:x@{host}"),
            Http(f"{server.url}?token=x"),
            Http(server.url, headers={"X-API-Key": "env:REMIX_TEST_KEY"}),
        ):
            with pytest.raises(HostRefused, match="401: the server refused the credentials; check the user, password"):
                refused.post("/said", {})


def test_more_than_is_bearable_is_not_read() -> None:
    with Echo().started() as server, pytest.raises(BadReply, match=r"\d+ bytes were announced; at most 10 are read"):
        client(server).post("/a", {}, limit=10)


@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_of_millions_of_empty_lists_is_not_parsed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.client.http.MOST_VALUES", 1000)
    with Echo().started() as server:
        for lists, refused in ((499, False), (500, True)):
            server.reply = Answer(b"[" + b"[]," * lists + b"[]]", status)
            if status == 200 and not refused:
                assert client(server).get("/said") == [[]] * (lists + 1)
                continue
            with pytest.raises(BadReply if status == 200 else HostRefused) as raised:
                client(server).get("/said")
            assert ("has more than 1000 values" in str(raised.value)) == (status == 200)
            assert isinstance(getattr(raised.value, "body", ""), str if refused else list)
            assert len(str(raised.value)) < 700


def test_a_picture_takes_no_more_bytes_than_its_size_may_have() -> None:
    with Echo([Fault("/view", 0, "lie_length", at=2**27)]).started() as server:
        limit = 8 * 16 * 8 + METADATA_LIMIT
        with pytest.raises(BadReply, match=f"bytes were announced; at most {limit} are read"):
            client(server).get_picture("/view", {}, size=(16, 8))


@pytest.mark.parametrize(
    ("url", "address", "user"),
    [
        ("http://127.0.0.1:8188", "http://127.0.0.1:8188", None),
        ("http://127.0.0.1:8188/", "http://127.0.0.1:8188", None),
        ("https://x.example/a/b/", "https://x.example/a/b", None),
        ("http://[::1]:8188/p", "http://[::1]:8188/p", None),
        ("http://me:%40x@localhost:1", "http://localhost:1", "me"),
    ],
)
def test_an_address_is_taken_apart(url: str, address: str, user: str | None) -> None:
    found, credentials = parse_address(url)
    assert (str(found), credentials.auth.user) == (address, user)
    assert found.websocket_url("/ws", [("a", "b")]) == f"ws{address[4:]}/ws?a=b"


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8188", "ftp://x/", "file:///etc/passwd", "http://", "http://x:99999999",
     "http://x/#a", f"http://x/#{SENTINEL}", f"http://me:{SENTINEL}?x@y/z", f"x.y/?token={SENTINEL}",
     f"me:{SENTINEL}@x", f"http://me:{SENTINEL}@:1", "http://x/ y", "<video0>"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(BadInput, match="url: ") as refused:
        parse_address(url)
    assert SENTINEL not in str(refused.value)


def test_a_secret_is_not_sent_readable_over_a_network() -> None:
    with pytest.raises(BadInput, match=r"use https, a tunnel to 127.0.0.1, or --insecure"):
        Http("http://192.0.2.1:8188", Auth("x"))
    assert Http("http://192.0.2.1:8188", Auth("x"), insecure=True).credentials
    assert Http("https://192.0.2.1:8188", Auth("x")).credentials
    assert not Http("http://192.0.2.1:8188").credentials


@pytest.mark.parametrize(
    ("text", "header"),
    [("token-1", "Bearer token-1"), ("me:se:cret", "Basic bWU6c2U6Y3JldA=="), ("token-1\n", "Bearer token-1")],
)
def test_a_secret_comes_from_the_environment_or_a_private_file(
    text: str, header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIX_TEST", text)
    assert read_auth("env:REMIX_TEST").header() == header
    path = tmp_path / "secret"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    assert read_auth(str(path)).header() == header
    path.chmod(0o644)
    with pytest.raises(BadInput, match=r"others may read .*run: chmod 600"):
        read_auth(str(path))
    for missing in ("env:REMIX_TEST_NOT", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(BadInput, match="auth: "):
            read_auth(missing)


def test_a_secret_is_sent_and_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password netrc-secret\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    shown: list[str] = []
    with Echo([Fault("/cut", 0, "cut")]).started() as server:
        for auth in (Auth(SENTINEL), Auth(SENTINEL, "me")):
            http = client(server, auth)
            http.get("/a")
            assert server.headers[-1]["Authorization"] == auth.header()
            for path in ("/wrong", "/cut", "/elsewhere"):
                with pytest.raises(HostError) as error:
                    http.get(path)
                shown += [str(error.value), repr(error.value), repr(http), repr(http.credentials)]
        client(server).get("/a")
        assert "Authorization" not in server.headers[-1]
    for text in (*shown, caplog.text):
        assert SENTINEL not in text
        assert (Auth(SENTINEL, "me").header() or "").split()[1] not in text


@pytest.mark.parametrize("secret", ['se"cret-1', "se\\cret-1", "se/cret-1", "plain-secret"])
def test_a_secret_that_json_spells_otherwise_is_masked_too(secret: str) -> None:
    auth = Auth(secret, "me")
    with Echo().started() as server:
        for reply in (
            json.dumps({"error": ["wrong", {f"key {secret}": f"not {secret}"}]}),
            json.dumps({"error": secret}).replace("/", "\\/"),
            f"<html>{secret}",
            json.dumps("a" * 490 + secret),
            "a" * 70 + secret,
        ):
            for status in (200, 400):
                server.reply = Answer(reply.encode() + b" " * (status == 200) + b"{" * (status == 200), status)
                with pytest.raises(HostError) as error:
                    client(server, auth).post("/said", {})
                shown = f"{error.value} {error.value!r} {getattr(error.value, 'body', '')}"
                assert secret not in shown
                assert json.dumps(secret)[1:-1] not in shown
                assert "cret-1" not in shown
                assert "***" in shown or "..." in shown


def test_what_a_server_says_is_shown_and_not_obeyed() -> None:
    with Echo().started() as server:
        for reply in ("\x1b]0;owned\x07\x9b2J\u202e", json.dumps({"error": "\x1b[2J\x9b2J"}, ensure_ascii=False)):
            for status in (200, 400):
                server.reply = Answer(reply.encode() + b"{", status)
                with pytest.raises(HostError, match=r"\\u001b.*\\u009b") as error:
                    client(server).post("/said", {})
                assert str(error.value).isprintable()
        server.reply = Answer(b"", 418, reason="\x1b[2Jtea")
        with pytest.raises(HostRefused, match=r"418: \\u001b\[2Jtea"):
            client(server).get("/said")


def test_an_answer_that_is_nested_without_end_is_told_all_the_same() -> None:
    with Echo().started() as server:
        for depth in (900, 5_000, 100_000):
            server.reply = Answer(b"[" * depth + b"]" * depth, 400)
            with pytest.raises(HostRefused, match="400: "):
                client(server).get("/said")


def test_a_user_in_the_url_is_moved_out() -> None:
    with Echo().started() as server:
        http = Http(server.url.replace("//", f"//me:{SENTINEL}@"))
        http.get("/a")
        assert server.headers[-1]["Authorization"] == Auth(SENTINEL, "me").header()
        assert SENTINEL not in repr(http)
        with pytest.raises(BadInput, match="leave one of them out"):
            Http(server.url.replace("//", "//me:x@"), Auth("y"))


@pytest.mark.parametrize("url", ["127.0.0.1:8188", "localhost:7860/x", "example.com", "me:pw@host:80"])
def test_an_address_without_a_scheme_is_told_what_to_add(url: str) -> None:
    with pytest.raises(BadInput, match="has no scheme; begin it with http:// or https://") as refused:
        parse_address(url)
    assert "pw" not in str(refused.value)


def test_a_password_may_have_any_letters_and_a_token_only_those_of_a_header() -> None:
    assert Auth("pässwörd", "me").header() == "Basic bWU6cMOkc3N3w7ZyZA=="
    with pytest.raises(BadInput, match="ASCII"):
        Auth("tökén")
    for wrong in (("a\nb",), ("a", "b\n"), ("a\x00b", "me")):
        with pytest.raises(BadInput, match="control character"):
            Auth(*wrong)
