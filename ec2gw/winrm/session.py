"""One connection to a host's WS-Management shells: pywinrm's Protocol with its traps closed.

Whatever goes wrong comes out as one of these, chosen by what may have happened on the host:

    LinkError
    ├── Unconnected      nothing of the message was sent
    │   ├── Untrusted    the host's certificate does not hold
    │   └── Unusable     our own side cannot: a missing file, a missing library
    ├── Denied           the sign-in is refused: by the domain, or by 401, which is believed after
    │                    a second, new sign-in only
    ├── Forbidden        signed in, but without the right
    ├── NoOutput         nothing to receive within the operation's time, or input not taken in it
    ├── Gone             the shell or its process is no more
    ├── Quota            the host has too many of something; nothing ran
    └── Lost             cut, swallowed or spoilt: it may have arrived or not

After anything but NoOutput the next call starts on a new TCP connection with a new sign-in: what
NTLM and Kerberos sealed belongs to the old one, and would be refused for ever.

Source: pywinrm 0.5.0; Microsoft, [MS-WSMV] 2.2.9.1 (encrypted messages) and WinRM's error codes;
docs/architecture.md, "The host link".
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import winrm.exceptions
import winrm.protocol
import winrm.transport
from urllib3 import exceptions as urllib3_exceptions

from ec2gw.winrm import adapter, endpoint, kerberos, timing, tls

T = TypeVar("T")

SHELL_NOT_FOUND = 2150858843
_GONE = {
    SHELL_NOT_FOUND,
    109,  # the pipe has been ended
    232,  # the pipe is being closed
    995,  # the operation was aborted
    1018,  # the registry key of the session is marked for deletion
    2147942509,  # 109 as an HRESULT
    2147943395,  # 995
    2147943418,  # 1018
}
_QUOTA = {
    2150859173,
    2150859174,
    2150859236,
    2150859240,
    2150859241,
    2147943416,  # not enough quota: processes or memory of a shell
}
_ACCESS_DENIED = {5, 2147942405}


class LinkError(Exception):
    """What went wrong between us and the host; `code` is the WS-Management fault, or HTTP's."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class Unconnected(LinkError):
    """No connection: the message never left."""


class Untrusted(Unconnected):
    """The certificate is not one that we were told to trust."""


class Unusable(Unconnected):
    """Our own side lacks something."""


class Denied(LinkError):
    """The host refused the sign-in."""

    @property
    def is_final(self) -> bool:
        """Whether it is the domain's own word: a spoilt connection is refused like a wrong one."""
        return self.code != 401


class Forbidden(LinkError):
    """The account may sign in but not do this."""


class NoOutput(LinkError):
    """The operation's time passed at the host; the connection is sound."""


class Gone(LinkError):
    """The shell or its process does not exist any more."""


class Quota(LinkError):
    """One of the host's limits is reached."""


class Lost(LinkError):
    """The message or its answer got lost, and which one is not known."""


@dataclass(frozen=True, slots=True)
class Output:
    """One Receive; `exit_code` is set when the process has ended."""

    stdout: bytes
    stderr: bytes
    exit_code: int | None


class Connection:
    """Not thread-safe, as pywinrm is not; only `abort` may come from another thread."""

    def __init__(self, address: endpoint.HostAddress, limits: timing.Timing) -> None:
        self._address = address
        self._limits = limits
        self._protocol: winrm.protocol.Protocol | None = None
        self._adapter = adapter.Adapter(limits.connect_seconds, limits.read_seconds)
        self._used_at = 0.0

    def create_shell(self) -> str:
        return self._call(
            lambda protocol: str(
                protocol.open_shell(
                    noprofile=True, codepage=65001, idle_timeout=self._limits.shell_idle
                )
            )
        )

    def start(self, shell: str, executable: str, arguments: Iterable[str]) -> str:
        """Run `executable`, a full path: without cmd.exe nothing searches for it."""
        words = list(arguments)
        return self._call(
            lambda protocol: str(
                protocol.run_command(
                    shell, executable, words, console_mode_stdin=False, skip_cmd_shell=True
                )
            )
        )

    def send(self, shell: str, command: str, data: bytes, *, end: bool = False) -> None:
        self._call(lambda protocol: protocol.send_command_input(shell, command, data, end=end))

    def receive(self, shell: str, command: str) -> Output:
        def receive(protocol: winrm.protocol.Protocol) -> Output:
            stdout, stderr, code, done = protocol.get_command_output_raw(shell, command)
            return Output(stdout, stderr, code if done else None)

        return self._call(receive)

    def delete_shell(self, shell: str) -> None:
        self._call(lambda protocol: protocol.close_shell(shell, close_session=False))

    def hurry(self, read_seconds: float) -> None:
        """Wait no longer than this for each further answer."""
        self._adapter.read_seconds = read_seconds

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.transport.close_session()

    def abort(self) -> None:
        """Wake whoever waits, and refuse any further call; from any thread."""
        self._adapter.abort()

    def _call(self, do: Callable[[winrm.protocol.Protocol], T]) -> T:
        idle = time.monotonic() - self._used_at
        if self._address.is_sealed and idle > self._limits.renew_seconds:
            self.close()
        protocol = self._protocol or self._connect()
        try:
            return do(protocol)
        except Exception as error:  # four libraries raise what they like here, asserts included
            failure = classify(error)
            if not isinstance(failure, NoOutput):
                self.close()
            raise failure from error
        finally:
            self._used_at = time.monotonic()

    def _connect(self) -> winrm.protocol.Protocol:
        try:
            if self._address.is_tls:
                self._adapter.trust(tls.context(self._address))
            protocol = _protocol(self._address, self._limits, self._adapter)
        except (tls.Unfit, kerberos.Failure, winrm.exceptions.WinRMError) as error:
            raise Unusable(str(error)) from error
        try:
            protocol.transport.build_session()
        except Exception as error:  # as in `_call`; this is the sign-in, nothing of ours was sent
            failure = classify(error)
            if isinstance(failure, Lost):
                failure = Unconnected(str(failure), failure.code)
            raise failure from error
        self._protocol = protocol
        return protocol


def _protocol(
    address: endpoint.HostAddress, limits: timing.Timing, http: adapter.Adapter
) -> winrm.protocol.Protocol:
    password = _password(address)
    read_seconds = max(int(limits.read_seconds), limits.operation_seconds + 1)
    protocol = winrm.protocol.Protocol(
        address.endpoint,
        transport=address.transport,
        username=address.username or None,
        password=password,
        cert_pem=address.certificate_file,
        cert_key_pem=address.key_file,
        operation_timeout_sec=limits.operation_seconds,
        read_timeout_sec=read_seconds,
        proxy=None,
    )
    protocol.transport = _Transport(
        http,
        _negotiation(address, password),
        endpoint=address.endpoint,
        auth_method=address.transport,
        username=address.username or None,
        password=password,
        ca_trust_path=None,  # the adapter's context says whom to trust
        cert_pem=address.certificate_file,
        cert_key_pem=address.key_file,
        read_timeout_sec=read_seconds,
        message_encryption="always" if address.is_sealed else "never",
        proxy=None,
    )
    return protocol


def _negotiation(
    address: endpoint.HostAddress, password: str | None
) -> Callable[[], kerberos.SignIn] | None:
    if address.transport != "kerberos":
        return None
    if lacking := kerberos.missing():
        raise Unusable(lacking)
    credential = kerberos.credential(address, password)
    return lambda: kerberos.SignIn(address.host, credential)


def _password(address: endpoint.HostAddress) -> str | None:
    if not address.takes_password:
        return None
    if address.password is None:
        if address.transport == "kerberos":
            return None
        raise Unusable(f"{address.transport} needs a password, and {address.host} has none")
    try:
        return address.password()
    except Exception as error:  # not ours: a file, a vault, whatever was configured
        raise Unusable(f"no password for {address.host}: {type(error).__name__}") from error


class _Transport(winrm.transport.Transport):
    """pywinrm's transport, whose sessions obey us alone from their first byte.

    It signs in while it builds a session. A failure there leaves a session behind that would send
    the next message unsealed, and a closed session leaves its sealing context behind: both go.
    """

    def __init__(
        self,
        http: adapter.Adapter,
        negotiation: Callable[[], kerberos.SignIn] | None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._http = http
        self._negotiation = negotiation

    def build_session(self) -> requests.Session:
        try:
            if self.session is None and self._negotiation is not None:
                self._negotiate(self._negotiation())
            session: requests.Session = super().build_session()
        except BaseException:
            self.close_session()
            raise
        self._harden(session)
        return session

    def _negotiate(self, sign_in: kerberos.SignIn) -> None:
        """Make the session for Kerberos, which pywinrm would make with a library of its own."""
        self.session = requests.Session()
        self.session.auth = sign_in
        self.session.headers.update(self.default_headers)
        if self.message_encryption == "always":
            self.setup_encryption(self.session)

    def setup_encryption(self, session: requests.Session) -> None:
        self._harden(session)
        super().setup_encryption(session)

    def close_session(self) -> None:
        super().close_session()
        self.encryption = None

    def _harden(self, session: requests.Session) -> None:
        # With trust_env a netrc entry for the host would replace the client certificate by that
        # password as Basic, and a redirect could lead the sign-in elsewhere.
        session.trust_env = False
        session.max_redirects = 0
        session.proxies = {}
        session.verify = True  # in which sense, the adapter's context says
        session.headers["Accept-Encoding"] = "identity"
        session.mount("http://", self._http)
        session.mount("https://", self._http)


def classify(error: Exception) -> LinkError:
    """Say what an exception of pywinrm and the libraries below it means for the message."""
    match error:
        case LinkError():
            return error
        case winrm.exceptions.WinRMOperationTimeoutError():
            return NoOutput("the operation's time passed")
        case winrm.exceptions.WSManFaultError():
            return _fault(error.wsman_fault_code or error.wmierror_code, str(error.reason))
        case winrm.exceptions.AuthenticationError():
            return Denied("the host refused the sign-in", 401)
        case PermissionError() if error.errno is None:  # requests_ntlm's word for the same
            return Denied("the host refused the sign-in", 401)
        case winrm.exceptions.WinRMTransportError(code=403):
            return Forbidden("HTTP status 403", 403)
        case winrm.exceptions.WinRMTransportError():
            return Lost(f"HTTP status {error.code}", error.code)
        case kerberos.Refused():
            return Denied(str(error))
        case kerberos.NoAnswer():
            return Unconnected(str(error))
        case kerberos.Failure():
            return Unusable(str(error))
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = getattr(cause, "verify_message", "") or "of an unknown authority"
            return Untrusted(f"the host's certificate is not trusted: {why}")
        if isinstance(cause, ssl.SSLError) and (cause.reason or "").endswith(_OURS_REFUSED):
            return Denied("the host refuses our certificate")
    if any(isinstance(cause, _NEVER_SENT) for cause in causes):
        return Unconnected("no connection")
    if isinstance(error, OSError) and error.filename is not None:
        return Unusable(f"{error.filename}: {error.strerror}")
    return Lost(type(error).__name__)


_OURS_REFUSED = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
)
_NEVER_SENT = (
    requests.exceptions.ConnectTimeout,
    urllib3_exceptions.NewConnectionError,
    urllib3_exceptions.ConnectTimeoutError,
)


def _fault(code: int | None, reason: str) -> LinkError:
    text = f"fault {code}: {reason[:300]}"
    if code in _GONE:
        return Gone(text, code)
    if code in _QUOTA:
        return Quota(text, code)
    if code in _ACCESS_DENIED:
        return Forbidden(text, code)
    return Lost(text, code)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps: by cause, by context, as an argument or as urllib3's reason."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or any(one is known for known in seen):
            continue
        seen.append(one)
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
