"""What a request is told that is none: a wrong method, path or version, or a body cut off.

Source: EC2 API Reference, "Common client error codes"; RFC 9110, "Status Codes".
"""

from __future__ import annotations

from translators.errors import Ec2Error


def cut_off() -> Ec2Error:
    return Ec2Error("InvalidRequest", "The request's body is cut off.")


def no_such_version(version: str, service: str) -> Ec2Error:
    message = f"The requested version ({version}) of service Amazon{service.upper()} does not exist"
    return Ec2Error("NoSuchVersion", message)


def nothing_here() -> Ec2Error:
    return Ec2Error("InvalidRequest", "There is nothing at this path; use /.", 404)


def too_large(limit_bytes: int) -> Ec2Error:
    return Ec2Error("InvalidRequest", f"The request is larger than {limit_bytes} bytes.", 413)


def wrong_method() -> Ec2Error:
    return Ec2Error("InvalidRequest", "Requests are made by GET or POST.", 405)
