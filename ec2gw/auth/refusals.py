"""What each service says to a request that it does not believe.

EC2 tells little and blames the credentials as a whole; STS and IAM tell what is wrong with the
signature. Nothing here ever repeats what the client sent but names, times and regions.

Source: EC2 API Reference, "Common client error codes"; STS API Reference, "Common errors"; IAM
User Guide, "Troubleshoot Signature Version 4".
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from translators import errors
from translators.errors import Ec2Error

_MINUTES: Final = 15


def not_signed(service: str) -> Ec2Error:
    if service == "ec2":
        # What EC2 says to a request without any signature; not MissingAuthenticationToken.
        return errors.missing_parameter("AWSAccessKeyId")
    return Ec2Error("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def unknown_key(service: str) -> Ec2Error:
    if service == "ec2":
        return errors.auth_failure()
    message = "The security token included in the request is invalid."
    return Ec2Error("InvalidClientTokenId", message, 403)


def session_token(service: str) -> Ec2Error:
    """Nothing here gives out temporary credentials, so none are good."""
    return unknown_key(service)


def wrong_signature(service: str) -> Ec2Error:
    message = (
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details."
    )
    return _mismatch(service, message)


def expired(service: str, signed: dt.datetime, ended: dt.datetime, now: dt.datetime) -> Ec2Error:
    """Say that the time of signing, or of a presigned request's end, has gone by."""
    if service == "ec2":
        return errors.request_expired()
    allowed = now - dt.timedelta(minutes=_MINUTES)
    if ended == signed:
        message = (
            f"Signature expired: {basic(signed)} is now earlier than {basic(allowed)} "
            f"({basic(now)} - {_MINUTES} min.)"
        )
    else:
        message = f"Signature expired: {basic(ended)} is now earlier than {basic(now)}"
    return _mismatch(service, message)


def not_yet(service: str, signed: dt.datetime, now: dt.datetime) -> Ec2Error:
    allowed = now + dt.timedelta(minutes=_MINUTES)
    message = (
        f"Signature not yet current: {basic(signed)} is still later than {basic(allowed)} "
        f"({basic(now)} + {_MINUTES} min.)"
    )
    return _mismatch(service, message)


def wrong_scope(service: str, what: str) -> Ec2Error:
    """`what` ends the sentence: "to a valid region, not 'x'"."""
    return _mismatch(service, f"Credential should be scoped {what}.", told=True)


def wrong_day(service: str, scope_day: str, time: str) -> Ec2Error:
    message = (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
        f"HTTP: '{scope_day}' != '{time[:8]}', from '{time}'."
    )
    return _mismatch(service, message, told=True)


def unsigned_payload(service: str) -> Ec2Error:
    message = "The payload must be signed: x-amz-content-sha256 has to be the body's SHA-256."
    return _mismatch(service, message, told=True)


def incomplete(sentence: str) -> Ec2Error:
    """Both protocols have this one code for what is no signature in form."""
    return Ec2Error("IncompleteSignature", sentence, 400)


def lacks(service: str, name: str) -> Ec2Error:
    """Name what an old signature is not complete without."""
    if service == "ec2":
        return errors.missing_parameter(name)
    return incomplete(f"The request must contain the parameter {name}.")


def other_than(name: str, only: str) -> Ec2Error:
    """Refuse a value without repeating it: whatever a client mistook may stand there."""
    return errors.invalid_parameter_value_text(f"The parameter {name} has to be {only}.")


def exclusive(first: str, second: str) -> Ec2Error:
    return errors.invalid_parameter_combination(first, second)


def foreign_origin() -> Ec2Error:
    """A browser, or a name that somebody made point here; open mode alone."""
    message = "This endpoint is open to programs on this machine alone, not to web pages."
    return Ec2Error("UnauthorizedOperation", message, 403)


def basic(time: dt.datetime) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ")


def _mismatch(service: str, sentence: str, *, told: bool = False) -> Ec2Error:
    """`told`: EC2 too says more than that the credentials are wrong."""
    if service != "ec2":
        return Ec2Error("SignatureDoesNotMatch", sentence, 403)
    return Ec2Error("AuthFailure", sentence, 401) if told else errors.auth_failure()
