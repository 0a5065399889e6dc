"""What lies between the client and a server: certificates, headers, tokens in the URL, and how answers are packed."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import requests
import urllib3
from PIL import Image, ImageFile
from urllib3.util.ssl_match_hostname import CertificateError

from remix.client.address import parse_address
from remix.client.auth import Auth, Credentials, parse_headers, read_headers
from remix.client.events import Events
from remix.client.http import Http
from remix.client.transport import CA_VARIABLES, trusted_certificates
from remix.errors import BadInput, BadReply, HostError, HostRefused, HostUntrusted, WrongSize
from remix.motion.pictures import png_bytes
from tests.fakes.comfyui_server import ComfyServer
from tests.fakes.faults import Answer, Asked, FaultyServer

CERTIFICATES = Path(__file__).parents[1] / "fakes" / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
LOCALHOST = CERTIFICATES / "localhost.pem"
SENTINEL = "SENTINEL-77ab"


class Echo(FaultyServer):
    """Gives the answer in `reply`, or repeats the query and the headers of the request."""

    reply: Answer | None = None

    def answer(self, asked: Asked) -> Answer:
        return self.reply or Answer({"query": asked.query, "headers": asked.headers})


def client(server: FaultyServer, **options: object) -> Http:
    return Http(server.url, pause=lambda seconds: pytest.fail("it was tried again"), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_certificate_of_an_own_authority_is_refused_at_once_and_accepted_with_ca() -> None:
    with Echo(certificate=LOCALHOST).started() as server:
        with pytest.raises(HostUntrusted, match=r"certificate is not accepted \(.*\); pass --ca FILE") as refused:
            client(server).get("/a")
        assert "127.0.0.1" in str(refused.value)
        with pytest.raises(HostUntrusted):
            client(server).post("/a", {})
        assert client(server, ca=AUTHORITY).get("/a")["query"] == {}


def test_a_certificate_that_vouches_for_itself_is_accepted_with_ca() -> None:
    own = CERTIFICATES / "self-signed.pem"
    with Echo(certificate=own).started() as server:
        with pytest.raises(HostUntrusted, match=r"not accepted \(self.signed certificate\); pass --ca FILE"):
            client(server).get("/a")
        assert client(server, ca=str(own)).get("/a")["query"] == {}


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_certificates_of_the_environment_are_used_and_ca_goes_before_them(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Echo(certificate=LOCALHOST).started() as server:
        monkeypatch.setenv(variable, str(AUTHORITY))
        assert client(server).get("/a")["query"] == {}
        monkeypatch.setenv(variable, str(CERTIFICATES / "other.pem"))
        with pytest.raises(HostUntrusted):
            client(server).get("/a")
        assert client(server, ca=AUTHORITY).get("/a")["query"] == {}
        monkeypatch.setenv(variable, str(tmp_path / "missing.pem"))
        with pytest.raises(BadInput, match=rf"{variable}: .*missing.pem cannot be read"):
            client(server)


def test_a_certificate_for_another_name_says_so() -> None:
    with (
        Echo(certificate=CERTIFICATES / "other.pem").started() as server,
        pytest.raises(HostUntrusted, match="is for another address; use the name in the certificate"),
    ):
        client(server, ca=AUTHORITY).get("/a")


def test_a_name_that_an_older_urllib3_compares_itself_is_refused_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> None:
        wrapped = urllib3.exceptions.SSLError(CertificateError("hostname '127.0.0.1' doesn't match 'other.example'"))
        raise requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/a", wrapped))  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "request", refuse)
    with (
        Echo(certificate=LOCALHOST).started() as server,
        pytest.raises(HostUntrusted, match="is for another address; use the name in the certificate"),
    ):
        client(server).get("/a")


def test_https_to_a_server_without_tls_says_so() -> None:
    with Echo().started() as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(HostUntrusted, match="does not use TLS; write http:// in the address"):
            Http(url, pause=lambda seconds: pytest.fail("it was tried again")).get("/a")


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n"])
def test_a_file_without_a_certificate_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"ca: .*ca.pem contains no certificate; give a PEM file"):
        trusted_certificates(path)


def test_a_folder_of_certificates_may_be_given(tmp_path: Path) -> None:
    shutil.copy(AUTHORITY, tmp_path)
    assert trusted_certificates(tmp_path) == str(tmp_path)


def test_the_websocket_uses_the_same_certificates_headers_and_query(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIX_KEY", SENTINEL)
    with ComfyServer(certificate=LOCALHOST).started() as server:
        http = Http(f"{server.url}/?token=abcd", headers={"X-API-Key": "env:REMIX_KEY"}, ca=AUTHORITY)
        endpoint = http.endpoint("/ws", {"clientId": "me"})
        events = Events(endpoint, first_pause=0.01)
        events.start()
        try:
            wait_until(lambda: "me" in server._sockets)
        finally:
            events.close()
    assert server.headers[-1]["X-API-Key"] == SENTINEL
    assert endpoint.url.endswith("/ws?clientId=me&token=abcd")
    assert SENTINEL not in repr(endpoint)
    assert "abcd" not in repr(endpoint)


def test_a_websocket_to_an_untrusted_server_stays_closed() -> None:
    with ComfyServer(certificate=LOCALHOST).started() as server:
        events = Events(Http(server.url).endpoint("/ws", {"clientId": "me"}), first_pause=0.01)
        events.start()
        try:
            wait_until(lambda: any(message.kind == "lost" for message in events.wait(5)))
        finally:
            events.close()
    assert server.asked == []


def wait_until(done: object) -> None:
    end = time.monotonic() + 10
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_query_in_the_url_goes_with_each_request_and_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Echo().started() as server:
        http = Http(f"{server.url}/?token={SENTINEL}%2F%C3%A4&v=1", pause=lambda seconds: None)
        assert http.get("/a", {"b": "c"})["query"] == {"b": "c", "token": f"{SENTINEL}/ä", "v": "1"}
        assert http.post("/a", {})["query"] == {"token": f"{SENTINEL}/ä", "v": "1"}
        server.reply = Answer({"error": f"no: {SENTINEL}/ä, {SENTINEL}%2F%C3%A4, 1"}, 403)
        with pytest.raises(HostRefused, match=r"403: .*no: \*\*\*, \*\*\*, 1") as refused:
            http.get("/a")
        server.stop()
        with pytest.raises(HostError) as silent:
            http.get("/a")
    seen = (str(refused.value), str(silent.value), repr(http), repr(refused.value.body), str(http.address))
    for text in (*seen, caplog.text):
        assert SENTINEL not in text
    with pytest.raises(BadInput, match="is not encrypted"):
        Http("http://192.0.2.1/?token=x")


def test_the_credentials_of_a_url_are_taken_out_of_it() -> None:
    address, credentials = parse_address(f"https://me:pw@gpu.example/x/?token={SENTINEL}")
    assert str(address) == "https://gpu.example/x"
    assert credentials.query == (("token", SENTINEL),)
    assert credentials.auth.user == "me"


def test_headers_are_sent_and_masked_with_their_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REMIX_KEY", SENTINEL)
    file = tmp_path / "cookie"
    file.write_text("session=0123456789; theme=ocean\n", encoding="utf-8")
    file.chmod(0o600)
    headers = parse_headers(["X-API-Key=env:REMIX_KEY", f"Cookie={file}"])
    with Echo().started() as server:
        http = client(server, headers=headers)
        sent = http.get("/a")["headers"]
        assert (sent["X-API-Key"], sent["Cookie"]) == (SENTINEL, "session=0123456789; theme=ocean")
        assert f"{sent['X-API-Key']}" == "***"
        server.reply = Answer({"error": f"{SENTINEL} 0123456789 ocean"}, 400)
        with pytest.raises(HostRefused, match=r"\*\*\* \*\*\* \*\*\*"):
            http.get("/a")
        assert repr(http.credentials) == "Credentials(Auth(), X-API-Key: ***, Cookie: ***)"
        server.reply = Answer({}, 401)
        with pytest.raises(HostRefused, match="refused the credentials"):
            http.get("/a")
    with pytest.raises(BadInput, match="is not encrypted"):
        Http("http://192.0.2.1", headers=headers)


def test_a_bearer_token_in_a_header_is_masked_without_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIX_KEY", f"Bearer {SENTINEL}")
    credentials = Credentials(headers=read_headers({"Authorization": "env:REMIX_KEY"}))
    assert credentials.mask(f"token {SENTINEL}") == "token ***"
    with pytest.raises(BadInput, match="Authorization is given by --auth or the URL too"):
        Http("http://127.0.0.1", Auth("x"), headers={"authorization": "env:REMIX_KEY"})


@pytest.mark.parametrize(
    "text", [f"X-API-Key: {SENTINEL}", f"X-API-Key={SENTINEL}", f"={SENTINEL}", f"a b={SENTINEL}", SENTINEL]
)
def test_a_secret_in_the_option_itself_is_refused_and_not_printed(text: str) -> None:
    with pytest.raises(BadInput, match="header") as refused:
        read_headers(parse_headers([text]))
    assert SENTINEL not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("Host", "x", "set by the client itself"),
        ("content-length", "1", "set by the client itself"),
        ("X-A", "a\nb: c", "printable ASCII"),
        ("X-A", "ä", "printable ASCII"),
        ("X-A", "  ", "is empty"),
        ("X A", "a", "is not the name of a header"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIX_KEY", value)
    with pytest.raises(BadInput, match=problem):
        read_headers({name: "env:REMIX_KEY"})


def test_a_header_is_given_once() -> None:
    with pytest.raises(BadInput, match="x-a is given twice"):
        parse_headers(["X-A=env:A", "x-a=env:B"])


def test_the_longest_secret_is_masked_first() -> None:
    credentials = Credentials(Auth("abcd"), query=(("token", "abcdefgh"),))
    assert credentials.mask("abcdefgh abcd") == "*** ***"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_compressed_answer_is_read_within_the_bound(pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    with Echo().started() as server:
        http = client(server)
        server.reply = Answer(pack(b'{"a": 1}'), headers={"Content-Encoding": encoding})  # type: ignore[operator]
        assert http.get("/a") == {"a": 1}
        server.reply = Answer(pack(bytes(40_000_000)), headers={"Content-Encoding": encoding})  # type: ignore[operator]
        with pytest.raises(BadReply, match="has more than 1000000 bytes; no more are read"):
            http.post("/a", {}, limit=10**6)
        server.reply = Answer(b"no gzip at all", headers={"Content-Encoding": encoding})
        with pytest.raises(BadReply, match="compressed, and damaged"):
            http.post("/a", {})


def test_a_compression_that_nobody_asked_for_is_refused_by_name() -> None:
    with Echo().started() as server:
        server.reply = Answer(b"x", headers={"Content-Encoding": "br"})
        with pytest.raises(BadReply, match="compressed as 'br', though no compression was asked for"):
            client(server).post("/a", {})


def test_an_answer_that_ends_with_its_connection_is_read_within_the_bound() -> None:
    with Echo().started() as server:
        http = client(server)
        server.reply = Answer({"a": 1}, length=False)
        assert http.get("/a") == {"a": 1}
        server.reply = Answer(b"1" * 2_000_000, length=False)
        with pytest.raises(BadReply, match="has more than 1000000 bytes"):
            http.post("/a", {}, limit=10**6)
        server.reply = Answer(png_bytes(np.full((8, 16, 3), 9, np.uint8))[:45], length=False)
        with pytest.raises(BadReply, match="not a whole picture"):
            Http(server.url, pause=lambda seconds: None).get_picture("/a", {})
        server.reply = Answer(b"", length=False)
        with pytest.raises(BadReply, match="is empty and does not say how long it is"):
            http.post("/a", {})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_another_size_is_refused_by_its_header(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    Image.new("L" if kind != "WEBP" else "RGB", (640, 480)).save(path, kind)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("it was decoded"))
    with Echo().started() as server:
        server.reply = Answer(path.read_bytes(), kind="image/png")
        with pytest.raises(WrongSize, match="picture: 640x480; expected 32x16"):
            client(server).get_picture("/a", {}, size=(32, 16))


def test_a_reply_is_shown_on_one_line_of_bounded_length() -> None:
    with Echo().started() as server:
        server.reply = Answer(json.dumps({"error": "x" * 3_000_000}).encode(), 400)
        with pytest.raises(HostRefused) as refused:
            client(server).get("/a")
    assert len(str(refused.value)) < 600
