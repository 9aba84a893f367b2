"""The TLS connection between a launcher and a worker on another machine, with a certificate made by the launcher."""

import pickle
import socket
import ssl
import struct
import tempfile
from datetime import UTC, datetime
from typing import Any

NAME = "study"
"""The name in the certificate; it needn't be the machine's."""
KEY_BYTES = 32
LOGIN = struct.Struct(f"!{KEY_BYTES}sI")
"""The first message of a worker: the launcher's secret and the worker's number."""
WELCOME = b"\1"
"""The launcher's answer."""
LOGIN_SECONDS = 10.0
"""Timeout of a login, and of the launcher's answer."""
SILENT_SECONDS = 60
"""Seconds without an acknowledgement after which a peer counts as gone, for example by a power cut."""
_SIZE = struct.Struct("!I")
_CHUNK = 2**16


class TlsConnection:
    """Messages over TLS: what `multiprocessing.connection.Connection` is over a pipe."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        """Take over a socket that has logged in; no part of a message has been read."""
        _enable_keepalive(tls)
        tls.settimeout(None)
        self._socket = tls
        self._received = bytearray()
        self._ended = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: the peer is gone.
        """
        data = pickle.dumps(message)
        self._socket.sendall(_SIZE.pack(len(data)) + data)

    def poll(self) -> bool:
        """Whether `recv` would return, or raise, at once; a part of a message doesn't count.

        Raises:
            OSError: the peer is gone.
        """
        self._socket.settimeout(0)
        try:
            while not self._has_message() and not self._ended:
                self._receive()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._socket.settimeout(None)
        return True

    def recv(self) -> Any:
        """Wait for a message and return it.

        Raises:
            EOFError: the peer has disconnected.
            OSError: the peer is gone.
        """
        while not self._has_message():
            if self._ended:
                raise EOFError
            self._receive()
        end = _SIZE.size + _SIZE.unpack_from(self._received)[0]
        message = pickle.loads(self._received[_SIZE.size : end])
        del self._received[:end]
        return message

    def close(self) -> None:
        self._socket.close()

    def _has_message(self) -> bool:
        size = len(self._received) - _SIZE.size
        return size >= 0 and size >= _SIZE.unpack_from(self._received)[0]

    def _receive(self) -> None:
        chunk = self._socket.recv(_CHUNK)
        self._received += chunk
        self._ended = not chunk


def _enable_keepalive(tls: ssl.SSLSocket) -> None:
    """Make the system detect that the peer's machine is gone, and send small messages at once."""
    for name, value in (
        ("TCP_NODELAY", 1),
        ("TCP_KEEPIDLE", SILENT_SECONDS // 4),
        ("TCP_KEEPINTVL", SILENT_SECONDS // 12),
        ("TCP_KEEPCNT", 9),
        ("TCP_USER_TIMEOUT", 1000 * SILENT_SECONDS),
    ):
        if hasattr(socket, name):
            tls.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def server_identity() -> tuple[ssl.SSLContext, str]:
    """Make a key and a certificate; return the TLS context of their launcher, and the certificate in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(
            datetime(2000, 1, 1, tzinfo=UTC)
        )  # it is as old as its launcher; clocks of nodes may be wrong
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # an unrequested ticket would make the worker's socket readable
    with tempfile.NamedTemporaryFile() as file:  # readable by this account only; `ssl` can't load from memory
        no_password = serialization.NoEncryption()
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password) + pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, pem.decode()


def connect_tls(address: tuple[str, int], certificate: str, login: bytes) -> TlsConnection:
    """Connect to the launcher that has this certificate, and log in.

    Raises:
        OSError: it can't be reached, is another one, or refuses the login.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=certificate)
    plain = socket.create_connection(address, timeout=LOGIN_SECONDS)
    with plain:  # empty once it is wrapped
        tls = context.wrap_socket(plain, server_hostname=NAME)
    try:
        tls.sendall(login)
        if tls.recv(len(WELCOME)) != WELCOME:
            raise ConnectionError(f"the launcher at {address[0]}:{address[1]} has hung up")
        return TlsConnection(tls)
    except BaseException:
        tls.close()
        raise
