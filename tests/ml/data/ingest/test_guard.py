"""What ingest refuses: archives that lead out or blow up, addresses inside the own network."""

import http.server
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ml.data.ingest import IngestError, IngestOptions, ingest
from ml.data.ingest.guard import check_url, is_public, unpack
from ml.data.ingest.types import LeftOut
from ml.data.ingest.web import download
from tests.ml.data.ingest.conftest import Floats

QUICK = IngestOptions(speakers="source")


def test_zip_with_paths_and_links_that_lead_out(
    say: Callable[[int], Floats], wav_bytes: Callable[[Floats], bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "in.zip"
    good = wav_bytes(say(1))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("good/a.wav", good)
        for name in ("../evil.wav", "good/../../evil2.wav", "/abs.wav", "C:/drive.wav", "..\\back.wav"):
            packed.writestr(name, good)
        link = zipfile.ZipInfo("link.wav")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("readme.md", "hello")
    report = ingest(str(archive), tmp_path / "out", QUICK)
    assert report.clips >= 1
    told = {one.file: one.why for one in report.left_out}
    for name in ("../evil.wav", "good/../../evil2.wav", "/abs.wav", "C:/drive.wav", "../back.wav"):
        assert any("leads out" in why for file, why in told.items() if file.replace("\\", "/") == name), name
    assert told["link.wav"] == "a link"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zip", "out"]


def test_tar_with_links_devices_and_paths(
    say: Callable[[int], Floats], wav_bytes: Callable[[Floats], bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "in.tar.gz"
    good = wav_bytes(say(2))
    with tarfile.open(archive, "w:gz") as rolled:
        for name, kind in (("a.wav", tarfile.REGTYPE), ("../b.wav", tarfile.REGTYPE), ("c.wav", tarfile.SYMTYPE),
                           ("d.wav", tarfile.LNKTYPE), ("e.wav", tarfile.CHRTYPE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../outside.wav"
            info.size = len(good) if kind == tarfile.REGTYPE else 0
            rolled.addfile(info, io.BytesIO(good) if info.size else None)
    report = ingest(str(archive), tmp_path / "out", QUICK)
    told = {one.file: one.why for one in report.left_out}
    assert "leads out" in told["../b.wav"]
    assert told["c.wav"] == told["d.wav"] == "a link"
    assert told["e.wav"] == "no plain file"
    assert report.clips >= 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tar.gz", "out"]


def test_bombs_are_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed, packed.open("a.wav", "w") as file:
        for _ in range(80):
            file.write(bytes(2**20))
    with pytest.raises(IngestError, match="zip bomb"):
        ingest(str(bomb), tmp_path / "out")
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as packed:
        for number in range(30):
            packed.writestr(f"{number}.wav", b"")
    with pytest.raises(IngestError, match="more than 20"):
        ingest(str(many), tmp_path / "out", IngestOptions(max_files=20))
    large = tmp_path / "large.tar"
    with tarfile.open(large, "w") as rolled:
        info = tarfile.TarInfo("a.wav")
        info.size = 3 * 2**20
        rolled.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(IngestError, match="--max-gib"):
        ingest(str(large), tmp_path / "out", IngestOptions(max_bytes=2**20))


def test_a_header_that_lies_about_its_size_does_not_help(tmp_path: Path) -> None:
    archive = tmp_path / "liar.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.wav", bytes(4 * 2**20))
    content = archive.read_bytes().replace((4 * 2**20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    archive.write_bytes(content)
    target = tmp_path / "target"
    target.mkdir()
    told: list[LeftOut] = []
    try:
        unpack(archive, target, QUICK, told)
    except IngestError:
        return
    assert all(path.stat().st_size <= 100 for path in target.rglob("*") if path.is_file())


def test_damaged_archive_says_what_to_do(tmp_path: Path) -> None:
    archive = tmp_path / "broken.zip"
    archive.write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(IngestError, match="pack it again"):
        ingest(str(archive), tmp_path / "out")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "fe80::1",
     "fc00::1", "::ffff:127.0.0.1", "224.0.0.1", "255.255.255.255", "nonsense"],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.mp3", "http://localhost:8000/a.mp3", "http://[::1]/a.mp3", "http://169.254.169.254/latest/meta-data",
     "http://2130706433/a.mp3", "http://0x7f.1/a.mp3", "file:///etc/passwd", "ftp://example.com/a.wav",
     "https://user:secret@example.com/a.mp3"],
)  # fmt: skip
def test_addresses_that_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"refused|no web address"):
        ingest(url, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def server(tmp_path: Path, say: Callable[[int], Floats], wav_bytes: Callable[[Floats], bytes]) -> Iterator[str]:
    """A web server on this machine with one recording and a redirect to it."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "talk.wav").write_bytes(wav_bytes(say(5)))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/talk.wav")
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_an_address_is_fetched_and_ingested_where_that_is_allowed(server: str, tmp_path: Path) -> None:
    allowed = IngestOptions(speakers="source", allow_private=True)
    report = ingest(f"{server}/talk.wav", tmp_path / "out", allowed)
    assert report.clips >= 1
    assert ingest(f"{server}/moved.wav", tmp_path / "out", allowed).clips == report.clips  # the same content again


def test_connections_are_watched_in_the_child_whatever_the_check_before_said(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as when a name resolves to a public address at the check and to a private one later
    monkeypatch.setattr("ml.data.ingest.web.check_url", lambda *_, **__: None)
    with pytest.raises(IngestError, match="inside a private network"):
        download(f"{server}/talk.wav", tmp_path, IngestOptions())
    assert not (tmp_path / "talk.wav").exists()


def test_check_url_takes_a_public_address() -> None:
    check_url("http://8.8.8.8/a.mp3")
