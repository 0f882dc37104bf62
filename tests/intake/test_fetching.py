"""Photos behind URLs: from whom they are fetched, from whom never, and which answers are one."""

import base64
import gzip
import socket
from typing import NoReturn

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.intake.fetching import PhotoFetcher
from syncsvc.intake.outbound import is_public
from syncsvc.intake.photos import MAX_BYTES
from syncsvc.model.errors import FetchError, InputError
from tests.intake.outside import PICTURE, SECRET, Answer, Handler, Outside, at_home
from tests.intake.pictures import from_a_camera

NOWHERE = PhotoFetcher([], lambda host, port: [])


# --- who may be fetched from ----------------------------------------------------------------------------------------


def test_a_photo_is_fetched_from_a_host_that_the_configuration_names(outside: Outside, fetcher: PhotoFetcher) -> None:
    photo = fetcher.fetch(outside.url())

    assert photo.content == PICTURE
    (path, headers) = outside.heard[0]
    assert path == f"/photo.jpg?{SECRET}"
    assert headers["Host"] == f"photos.corp.internal:{outside.port}"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & {name.lower() for name in headers}


def test_what_is_fetched_is_cleaned_as_everything_else(outside: Outside, fetcher: PhotoFetcher) -> None:
    outside.answers["/photo.jpg"] = lambda to: to.send(from_a_camera(6))

    photo = fetcher.fetch(outside.url())

    assert (photo.width, photo.height) == (120, 160)
    assert b"CANARY" not in photo.content


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_an_address_that_is_not_public_is_never_asked(outside: Outside, host: str) -> None:
    with pytest.raises(InputError, match="has no public address") as caught:
        PhotoFetcher(["photos.corp.internal"]).fetch(outside.url(host=host, scheme="https"))

    assert caught.value.field == "photo"
    assert outside.heard == []


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["fe80::1%eth0"], ["224.0.0.1"], []]
)
def test_a_name_that_leads_inside_is_never_asked(outside: Outside, addresses: list[str]) -> None:
    fetcher = PhotoFetcher([], lambda host, port: addresses)

    with pytest.raises(InputError, match=r"photo's host evil\.example has no public address"):
        fetcher.fetch(outside.url(host="evil.example", scheme="https"))

    assert outside.heard == []


def test_a_name_that_does_not_exist_is_told_in_the_same_words_as_one_that_leads_inside() -> None:
    def nobody(host: str, port: int) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    told = []
    for resolver in (nobody, lambda host, port: ["10.0.0.1"]):
        with pytest.raises(InputError) as caught:
            PhotoFetcher([], resolver).fetch("https://wiki.corp.internal/x.jpg")
        told.append(str(caught.value))

    assert len(set(told)) == 1


def test_the_connection_goes_to_the_very_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]])
    connected = []

    def connect(self: object, host: str, port: int, *args: object) -> NoReturn:
        connected.append((host, port))
        raise httpcore.ConnectError("refused")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)

    with pytest.raises(FetchError, match=r"cannot be fetched from rebinding\.example just now"):
        PhotoFetcher([], lambda host, port: next(answers)).fetch("https://rebinding.example/x.jpg")

    assert connected == [("93.184.215.14", 443)]
    assert next(answers) == ["127.0.0.1"]


def test_every_address_of_a_host_is_tried(outside: Outside) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        fetcher = PhotoFetcher(["photos.corp.internal"], lambda host, port: ["127.0.0.2", "127.0.0.1"])

        assert fetcher.fetch(outside.url()).content == PICTURE


def test_plain_http_is_for_named_hosts_only(outside: Outside) -> None:
    with pytest.raises(InputError, match=r"must begin with https://; an operator may allow http from photos\.example"):
        PhotoFetcher([], at_home).fetch(outside.url(host="photos.example"))

    assert outside.heard == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must be a URL like https://host/path"),
        ("/etc/passwd", "must be a URL"),
        ("file:///etc/passwd", "must be a URL"),
        ("ftp://photos.example/x", "must be a URL"),
        ("https:///x.jpg", "must be a URL"),
        ("https://" + "a" * 300 + "/x", "must be a URL"),
        ("https://user:CANARY@photos.example/x", "must not hold a user or a password"),
        ("https://CANARY@photos.example/x", "must not hold a user or a password"),
        ("https://photos.example:65536/x", "must be a URL"),
        ("https://photos.example:-1/x", "must be a URL"),
        ("https://photos.example:port/x", "is no URL"),
        ("https://0177.0.0.1/x", "is no URL"),
        ("https://[::1/x", "is no URL"),
        ("https://photos\0.example/x", "is no URL"),
        ("https://" + "a" * 70_000, "is no URL"),
        ("https://\ud800.example/", "is no URL"),
    ],
)
def test_what_is_no_address_of_a_photo_is_refused_before_anything_is_asked(url: str, words: str) -> None:
    def never(host: str, port: int) -> NoReturn:
        raise AssertionError

    with pytest.raises(InputError, match=words) as caught:
        PhotoFetcher([], never).fetch(url)

    assert "CANARY" not in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=60) | st.text(max_size=60).map("https://{}".format))
def test_whatever_is_told_instead_of_a_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(InputError):
        NOWHERE.fetch(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
        ("64:ff9b::a00:1", False),
        ("::ffff:93.184.215.14", True),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("2002:5db8:d70e::1", False),
        ("2002:a00:1::1", False),
        ("2001:0:5db8:d70e::f5ff:fffe", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("224.0.0.251", False),
        ("ff02::1", False),
        ("fec0::1", False),
        ("2001:db8::1", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:  # noqa: FBT001 - a case's expectation
    assert is_public(address) is public


# --- redirects ------------------------------------------------------------------------------------------------------


def to(location: str, status: int = 302) -> Answer:
    return lambda handler: handler.send(b"", status, Location=location)


def test_redirects_are_followed_three_times_and_not_once_more(outside: Outside, fetcher: PhotoFetcher) -> None:
    outside.answers |= {
        "/1": to("/2", 301),
        "/2": to("3", 303),
        "/3": to(outside.url(), 308),
        "/0": to("/1", 307),
        "/loop": to("/loop"),
    }

    assert fetcher.fetch(outside.url("/1")).content == PICTURE
    for path in ("/0", "/loop"):
        with pytest.raises(InputError, match="redirects more than 3 times"):
            fetcher.fetch(outside.url(path))

    assert [path.partition("?")[0] for path, _ in outside.heard].count("/loop") == 4


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://127.0.0.1:{port}/photo.jpg", "127.0.0.1 has no public address"),
        ("https://[::1]:{port}/photo.jpg", "::1 has no public address"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254 has no public address"),
        ("https://2130706433:{port}/photo.jpg", "2130706433 has no public address"),
        ("https://inside.example:{port}/photo.jpg", "inside.example has no public address"),
        ("http://inside.example:{port}/photo.jpg", "must begin with https://"),
        ("//inside.example:{port}/photo.jpg", "must begin with https://"),
        ("file:///etc/passwd", "must be a URL"),
        ("data:image/jpeg;base64,AAAA", "must be a URL"),
        ("http://user:CANARY@photos.corp.internal/x", "must not hold a user or a password"),
        ("https://photos.corp.internal:port/", "the address to which photos.corp.internal redirects is no URL"),
    ],
)
def test_where_a_redirect_leads_is_checked_as_if_it_had_been_told(
    outside: Outside, fetcher: PhotoFetcher, location: str, words: str
) -> None:
    outside.answers["/redirect"] = to(location.format(port=outside.port))

    with pytest.raises(InputError, match=words) as caught:
        fetcher.fetch(outside.url("/redirect"))

    assert "CANARY" not in str(caught.value)
    assert len(outside.heard) == 1


def test_cookies_are_not_carried_to_the_next_hop(outside: Outside, fetcher: PhotoFetcher) -> None:
    outside.answers["/cookie"] = lambda to: to.send(b"", 302, Location="/photo.jpg", Set_Cookie="a=b; Path=/")

    fetcher.fetch(outside.url("/cookie"))
    fetcher.fetch(outside.url())

    assert not [headers for _, headers in outside.heard if "Cookie" in headers]


def test_no_proxy_of_the_environment_is_asked(
    outside: Outside, fetcher: PhotoFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert fetcher.fetch(outside.url()).content == PICTURE


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 206, 304, 300])
def test_an_answer_without_a_photo_is_final(outside: Outside, fetcher: PhotoFetcher, status: int) -> None:
    outside.answers["/photo.jpg"] = lambda to: to.send(b"", status)

    with pytest.raises(InputError, match=f"answers {status} and no photo"):
        fetcher.fetch(outside.url())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_answer_that_means_later_is_not_final(outside: Outside, fetcher: PhotoFetcher, status: int) -> None:
    outside.answers["/photo.jpg"] = lambda to: to.send(b"", status)

    with pytest.raises(FetchError, match=f"answers {status}"):
        fetcher.fetch(outside.url())


@pytest.mark.parametrize("kind", ["application/octet-stream", "binary/octet-stream", "IMAGE/PNG; q=1", ""])
def test_storage_that_does_not_know_what_it_holds_is_believed(
    outside: Outside, fetcher: PhotoFetcher, kind: str
) -> None:
    outside.answers["/photo.jpg"] = lambda to: to.send(Content_Type=kind)

    assert fetcher.fetch(outside.url()).media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda to: to.send(b"<html>", Content_Type="text/html"), "no picture, by its Content-Type"),
        (lambda to: to.send(b"<html>"), "cannot be read as a picture"),
        (lambda to: to.send(b""), "the photo is empty"),
        (lambda to: to.send(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"), "sends the photo compressed"),
        (lambda to: to.send(b"", Content_Length=str(MAX_BYTES + 1)), "has more than 20,971,520 bytes"),
    ],
)
def test_what_is_no_photo_is_refused(outside: Outside, fetcher: PhotoFetcher, answer: Answer, words: str) -> None:
    outside.answers["/photo.jpg"] = answer

    with pytest.raises(InputError, match=words) as caught:
        fetcher.fetch(outside.url())

    assert "CANARY" not in str(caught.value)


def test_a_body_that_does_not_end_is_left_at_the_largest_photo(outside: Outside, fetcher: PhotoFetcher) -> None:
    sent = 0

    def endless(to: Handler) -> None:
        nonlocal sent
        to.send(b"", Content_Length="", Transfer_Encoding="chunked")
        while sent < 10 * MAX_BYTES:
            to.wfile.write(b"100000\r\n" + bytes(0x100000) + b"\r\n")
            sent += 0x100000

    outside.answers["/photo.jpg"] = endless

    with pytest.raises(InputError, match="has more than 20,971,520 bytes"):
        fetcher.fetch(outside.url())

    assert sent < 3 * MAX_BYTES


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    ],
)
def test_what_is_no_whole_answer_may_be_one_later(outside: Outside, fetcher: PhotoFetcher, said: bytes) -> None:
    outside.answers["/photo.jpg"] = lambda to: to.connection.sendall(said)

    with pytest.raises(FetchError, match=r"cannot be fetched from photos\.corp\.internal just now"):
        fetcher.fetch(outside.url())


def test_a_host_that_does_not_listen_may_do_so_later(fetcher: PhotoFetcher) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://photos.corp.internal:{closed.getsockname()[1]}/x"

        with pytest.raises(FetchError, match="just now"):
            fetcher.fetch(url)


def test_a_name_that_cannot_be_resolved_now_may_be_later() -> None:
    def busy(host: str, port: int) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(FetchError, match=r"photos\.example cannot be resolved just now"):
        PhotoFetcher([], busy).fetch(f"https://photos.example/x?{SECRET}")


# --- photos that come along -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "data:image/jpeg;base64," + base64.b64encode(PICTURE).decode(),
        "DATA:IMAGE/JPEG;charset=x;BASE64," + base64.b64encode(PICTURE).decode().rstrip("="),
        "data:;base64," + base64.encodebytes(PICTURE).decode(),
        "data:application/octet-stream;base64," + base64.b64encode(PICTURE).decode().replace("+", "%2B"),
    ],
)
def test_a_data_url_holds_its_photo(fetcher: PhotoFetcher, url: str) -> None:
    assert fetcher.fetch(url).content == PICTURE


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data:", "must be like data:image/jpeg;base64"),
        ("data:image/jpeg,CANARY", "must be like"),
        ("data:image/jpeg;base64", "must be like"),
        ("data:text/html;base64,Q0FOQVJZ", "must be like"),
        ("data:image/jpeg;base64,CANARY-", "is not base64"),
        ("data:image/jpeg;base64,é", "is not base64"),
        ("data:image/jpeg;base64,", "the photo is empty"),
        ("data:image/jpeg;base64,Q0FOQVJZ", "cannot be read as a picture"),
        ("data:image/jpeg;base64," + "A" * (2 * MAX_BYTES), "has more than 20,971,520 bytes"),
    ],
)
def test_a_data_url_without_a_photo_is_refused(fetcher: PhotoFetcher, url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        fetcher.fetch(url)

    assert "CANARY" not in str(caught.value)
    assert caught.value.field == "photo"


def test_a_photo_in_a_message_is_read_the_same(fetcher: PhotoFetcher) -> None:
    assert fetcher.read(PICTURE) == fetcher.fetch("data:image/jpeg;base64," + base64.b64encode(PICTURE).decode())
