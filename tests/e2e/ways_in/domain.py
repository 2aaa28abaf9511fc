"""A Kerberos domain of the tests' own: MIT's KDC on loopback, unprivileged, gone after them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from ec2gw.winrm import kerberos

from .rig import PASSWORD, PRINCIPAL, REALM

_SECONDS: Final = 300
"""The KDC ends by itself after this, whatever becomes of the tests."""
_PROGRAMS: Final = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "timeout")
_PATH: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def missing() -> str:
    """What these tests need and this machine lacks; empty when all is there."""
    lacking = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if lacking:
        return f"no {', '.join(lacking)} (Debian: krb5-kdc krb5-admin-server krb5-user)"
    return kerberos.missing()


class Domain:
    """A realm with one account, the service of `localhost`, and a keytab for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self.account = folder / "account.keytab"
        self.host = folder / "host.keytab"
        self._environ = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        }
        self._configure()
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "the database's own")
        for order in (
            f'addprinc -pw "{PASSWORD}" {PRINCIPAL}',
            f"ktadd -norandkey -k {self.account} {PRINCIPAL}",
            f"addprinc -randkey HTTP/localhost@{REALM}",
            f"ktadd -k {self.host} HTTP/localhost@{REALM}",
        ):
            self.order(order)
        for _ in range(3):
            self._kdc = self._start()
            if self._kdc.poll() is None:
                return
            self._configure()  # somebody else was quicker to take the port
        raise AssertionError("the KDC does not start; see its log")

    def environ(self, tickets: Path) -> dict[str, str]:
        """What a process of the domain has in its environment, clients and hosts alike."""
        return {
            **self._environ,
            "KRB5_KTNAME": f"FILE:{self.host}",
            "KRB5CCNAME": f"FILE:{tickets}",
            "KRB5_CLIENT_KTNAME": f"FILE:{tickets}.none",
            "KRB5RCACHENAME": f"dfl:{self._folder}",
            "KRB5RCACHEDIR": str(self._folder),
        }

    def order(self, line: str) -> None:
        """Do what an administrator of the domain does."""
        self._run("kadmin.local", "-r", REALM, "-q", line)

    def sign_on(self, tickets: Path) -> None:
        """Get a ticket from outside, as an operator keeps one."""
        environ = {**os.environ, **self.environ(tickets)}
        self._run("kinit", "-k", "-t", str(self.account), PRINCIPAL, environ=environ)

    def with_controller(self, file: Path, port: int) -> Path:
        """Write a configuration whose domain controller listens elsewhere."""
        text = (self._folder / "krb5.conf").read_text()
        file.write_text(text.replace(f":{self._port}", f":{port}"))
        return file

    def stop(self) -> None:
        self._kdc.terminate()
        self._kdc.wait(5)

    def _configure(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        (self._folder / "krb5.conf").write_text(
            f"""[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {REALM} = {{
        kdc = 127.0.0.1:{self._port}
    }}
[domain_realm]
    localhost = {REALM}
"""
        )
        (self._folder / "kdc.conf").write_text(
            f"""[kdcdefaults]
    kdc_listen = ""
    kdc_tcp_listen = 127.0.0.1:{self._port}
[realms]
    {REALM} = {{
        database_name = {self._folder}/principals
        key_stash_file = {self._folder}/stash
        acl_file = {self._folder}/acl
        default_principal_flags = +preauth
    }}
[logging]
    kdc = FILE:{self._folder}/kdc.log
    admin_server = FILE:{self._folder}/admin.log
    default = FILE:{self._folder}/other.log
"""
        )

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the KDC; it may have ended when this returns, for its port was taken."""
        started = subprocess.Popen(
            ["timeout", str(_SECONDS), _program("krb5kdc"), "-n", "-r", REALM],
            env={**os.environ, **self._environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while started.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                break
        return started

    def _run(self, name: str, *arguments: str, environ: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            [_program(name), *arguments],
            env=environ or {**os.environ, **self._environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    assert found is not None
    return found
