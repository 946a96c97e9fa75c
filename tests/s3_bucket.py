"""A bucket on this machine, for tests: an HTTP server that speaks the few calls of S3 that Django's storage makes.

What is assumed of S3, from the Amazon S3 API Reference (docs.aws.amazon.com/AmazonS3/latest/API/):
- API_PutObject, API_HeadObject, API_GetObject, API_DeleteObject: `/<bucket>/<key>`, path style, as storages that
  are not Amazon's are addressed. PUT answers with an ETag. GET and HEAD of what is not there are 404; of GET the
  body is an XML error `NoSuchKey`. GET takes one `Range: bytes=a-b` and answers 206 with `Content-Range`; one that
  begins behind the end is 416. DELETE answers 204, also where there was nothing.
- API_CreateMultipartUpload, API_UploadPart, API_CompleteMultipartUpload: large bodies come in numbered parts, of 5 MiB
  at least but the last; the object is there once they are completed, and not before.
- sigv4-authentication: each request is signed (`Authorization: AWS4-HMAC-SHA256 Credential=<access key>/…`), and
  `x-amz-content-sha256` is that of the body, or `UNSIGNED-PAYLOAD`. The signature itself is not checked here.
- Checksums beside that one (`x-amz-sdk-checksum-algorithm`), which boto3 adds by default from 1.36 on, over HTTPS
  behind a body in `aws-chunked` encoding, are refused by storages that are not Amazon's, with 501 or 400
  (github.com/boto/boto3/issues/4409, github.com/boto/s3transfer/issues/327). So they are here: 501.
- ErrorResponses: a storage that is too busy answers 503 `SlowDown`; wrong credentials get 403 `InvalidAccessKeyId`.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

ACCESS_KEY = "AKIDOFTHETESTS"
SECRET_KEY = "secret-of-the-tests"
SMALLEST_PART = 5 * 1024 * 1024

Mode = Literal["normal", "busy", "silent"]


class Bucket:
    """One bucket. `objects` is what is in it by key, `asked` the requests so far: (method, key)."""

    name = "clinic-recordings"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.mode: Mode = "normal"
        self.parts: dict[str, dict[int, bytes]] = {}
        self.port = 0
        self.waiting = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Answer, at the same address as before."""
        bucket = self

        class Handler(_Handler):
            of = bucket

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused."""
        assert self._server is not None
        self.waiting.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self._connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """End the connections that clients keep open for what they may ask next."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    of: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Tests say what they need to say."""

    def do_PUT(self) -> None:
        body = self._body()
        if body is None:
            return
        if part := self._query("partNumber"):
            self.of.parts[self._query("uploadId")][int(part)] = body
        else:
            self.of.objects[self._key()] = body
        self._answer(200, headers={"ETag": _etag(body)})

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        upload = self._query("uploadId")
        if not upload:
            upload = f"upload-{len(self.of.parts)}"
            self.of.parts[upload] = {}
            self._answer(200, _xml("InitiateMultipartUploadResult", UploadId=upload))
            return
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        parts = [self.of.parts[upload][number] for number in numbers]
        if any(len(part) < SMALLEST_PART for part in parts[:-1]):
            self._error(400, "EntityTooSmall")
            return
        whole = self.of.objects[self._key()] = b"".join(parts)
        self._answer(200, _xml("CompleteMultipartUploadResult", ETag=_etag(whole)))

    def do_HEAD(self) -> None:
        if self._body() is None:
            return
        found = self.of.objects.get(self._key())
        if found is None:
            self._answer(404)
        else:
            self._answer(200, length=len(found), headers=_described(found))

    def do_GET(self) -> None:
        if self._body() is None:
            return
        found = self.of.objects.get(self._key())
        if found is None:
            self._error(404, "NoSuchKey")
        elif asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            begin, end = int(asked[1]), int(asked[2] or len(found) - 1)
            piece = found[begin : end + 1]
            if not piece:
                self._error(416, "InvalidRange")
                return
            where = f"bytes {begin}-{begin + len(piece) - 1}/{len(found)}"
            self._answer(206, piece, headers=_described(found) | {"Content-Range": where})
        else:
            self._answer(200, found, headers=_described(found))

    def do_DELETE(self) -> None:
        if self._body() is None:
            return
        self.of.objects.pop(self._key(), None)
        self._answer(204)

    def _body(self) -> bytes | None:
        """The request's body; None where it is refused, or never answered."""
        self.of.asked.append((self.command, self._key()))
        if self.of.mode == "silent":
            self.of.waiting.wait(60)
            self.close_connection = True
            return None
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        signed = self.headers.get("x-amz-content-sha256")
        if self.of.mode == "busy":
            self._error(503, "SlowDown")
        elif not self.headers.get("Authorization", "").startswith(
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"
        ):
            self._error(403, "InvalidAccessKeyId")
        elif "x-amz-sdk-checksum-algorithm" in self.headers:
            self._error(501, "NotImplemented")
        elif signed not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            self._error(400, "XAmzContentSHA256Mismatch")
        elif not urlsplit(self.path).path.startswith(f"/{self.of.name}/"):
            self._error(404, "NoSuchBucket")
        else:
            return body
        return None

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path.removeprefix(f"/{self.of.name}/"))

    def _query(self, name: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def _error(self, status: int, code: str) -> None:
        self._answer(status, _xml("Error", Code=code, Message=code))

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        length: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _described(found: bytes) -> dict[str, str]:
    return {"ETag": _etag(found), "Last-Modified": formatdate(0, usegmt=True), "Accept-Ranges": "bytes"}


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _xml(root: str, **fields: str) -> bytes:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inside}</{root}>'.encode()


@contextmanager
def running_bucket() -> Iterator[Bucket]:
    """An empty bucket that answers."""
    bucket = Bucket()
    bucket.start()
    try:
        yield bucket
    finally:
        bucket.stop()
