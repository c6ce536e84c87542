"""Transport security of the broker session, and why a connection failed, as a stable word.

The server's certificate and name are always checked; nothing here can switch that off, and there
is no way back to plain TCP. Options in; an SSL context or a reason code (docs/uplink.md) out.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from rsu.config.uplink import TlsOptions

HANDSHAKE_S = 10.0  # 2 s round trips (fault row 12) × up to 4 of them, and some

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_CERTIFICATE_REASONS = {
    9: "tls_not_yet_valid",
    10: "tls_expired",
    18: "tls_untrusted",  # self-signed
    19: "tls_untrusted",  # self-signed in the chain
    20: "tls_untrusted",  # issuer unknown
    21: "tls_untrusted",  # first certificate cannot be verified
    23: "tls_revoked",
    62: "tls_wrong_host",
    64: "tls_wrong_host",  # address instead of name
}


class _CheckedContext(ssl.SSLContext):
    """Completes the handshake while wrapping, so that a refused socket is closed at once."""

    def wrap_socket(self, sock: socket.socket, *args: object, **kwargs: object) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(sock, *args, **kwargs)  # type: ignore[arg-type]
        try:
            wrapped.settimeout(HANDSHAKE_S)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def make_context(options: TlsOptions, base: Path) -> ssl.SSLContext:
    """A client context for the options; files are read anew, so that rotated ones are taken.

    Raises OSError (ssl.SSLError included) for files that are missing or unusable.
    """
    context = _CheckedContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(base / options.ca_file)
    if options.cert_file is not None:
        key = None if options.key_file is None else base / options.key_file
        context.load_cert_chain(base / options.cert_file, key)
    return context


def failure_reason(error: BaseException) -> str:
    """A stable code for why the connection could not be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_REASONS.get(error.verify_code, "tls_certificate")
    for kind, reason in (
        (ssl.SSLError, "tls"),
        (ConnectionRefusedError, "refused"),
        (socket.gaierror, "name_unknown"),
        (TimeoutError, "timeout"),
        (ConnectionResetError, "reset"),
        (FileNotFoundError, "file_missing"),
        (PermissionError, "file_unreadable"),
    ):
        if isinstance(error, kind):
            return reason
    return "network"
