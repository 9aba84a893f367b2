"""The line between a launcher and a worker on another machine: TLS, by a certificate made for that launcher alone."""

import pickle
import socket
import ssl
import struct
import tempfile
from datetime import UTC, datetime
from typing import Any

NAME = "study"
"""The name in the certificate: which machine shows it makes no difference."""
KEY_BYTES = 32
LOGIN = struct.Struct(f"!{KEY_BYTES}sI")
"""What a worker says first: the launcher's secret and its own number."""
WELCOME = b"\1"
"""What the launcher answers."""
LOGIN_SECONDS = 10.0
"""How long a caller may take to say who it is, and a launcher to answer."""
SILENT_SECONDS = 60
"""A peer that acknowledges nothing for so long is gone, though nobody hung up: its machine has lost power, say."""
_SIZE = struct.Struct("!I")
_CHUNK = 2**16


class Line:
    """Messages over TLS: what `multiprocessing.connection.Connection` is over a pipe."""

    def __init__(self, line: ssl.SSLSocket) -> None:
        """Take over a connection whose ends know each other; nothing that was sent as a message has been read."""
        for name, value in (
            ("TCP_NODELAY", 1),
            ("TCP_KEEPIDLE", SILENT_SECONDS // 4),
            ("TCP_KEEPINTVL", SILENT_SECONDS // 12),
            ("TCP_KEEPCNT", 9),
            ("TCP_USER_TIMEOUT", 1000 * SILENT_SECONDS),
        ):
            if hasattr(socket, name):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.settimeout(None)
        self._line = line
        self._read = bytearray()
        self._ended = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there may be something to receive."""
        return self._line.fileno()

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: the peer is gone.
        """
        data = pickle.dumps(message)
        self._line.sendall(_SIZE.pack(len(data)) + data)

    def poll(self) -> bool:
        """Whether `recv` would return, or raise, at once. A peer that stops within a message keeps nobody waiting.

        Raises:
            OSError: the peer is gone.
        """
        self._line.settimeout(0)
        try:
            while not self._has_message() and not self._ended:
                self._take()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._line.settimeout(None)
        return True

    def recv(self) -> Any:
        """Wait for a message and return it.

        Raises:
            EOFError: the peer has hung up.
            OSError: the peer is gone.
        """
        while not self._has_message():
            if self._ended:
                raise EOFError
            self._take()
        end = _SIZE.size + _SIZE.unpack_from(self._read)[0]
        message = pickle.loads(self._read[_SIZE.size : end])
        del self._read[:end]
        return message

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _has_message(self) -> bool:
        size = len(self._read) - _SIZE.size
        return size >= 0 and size >= _SIZE.unpack_from(self._read)[0]

    def _take(self) -> None:
        chunk = self._line.recv(_CHUNK)
        self._read += chunk
        self._ended = not chunk


def identity() -> tuple[ssl.SSLContext, str]:
    """Make a key and its certificate; return the context of a launcher that has them, and the certificate in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))  # it ends with its launcher; clocks of nodes may be wrong
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # what no worker asked for would make its line readable
    with tempfile.NamedTemporaryFile() as file:  # for this account's eyes only; `ssl` reads from files alone
        no_password = serialization.NoEncryption()
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password) + pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, pem.decode()


def dial(address: tuple[str, int], certificate: str, login: bytes) -> Line:
    """Call the launcher that has this certificate, say who calls, and return the line to it.

    Raises:
        OSError: it can't be reached, is another one, or doesn't let the caller in.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=certificate)
    plain = socket.create_connection(address, timeout=LOGIN_SECONDS)
    with plain:  # empty once it is wrapped
        line = context.wrap_socket(plain, server_hostname=NAME)
    try:
        line.sendall(login)
        if line.recv(len(WELCOME)) != WELCOME:
            raise ConnectionError(f"the launcher at {address[0]}:{address[1]} has hung up")
        return Line(line)
    except BaseException:
        line.close()
        raise
