"""Where an imported disk comes from, and in which format: what a request says of both.

Nothing is fetched here. Who fetches looks at the address too, after the name was resolved and at
each redirect.

Source: EC2 API Reference, ImageDiskContainer, SnapshotDiskContainer; docs/guests.md.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from translators import errors, refusals
from translators.ec2.imports import import_errors, refused
from translators.registry import Context

FORMATS: Final = ("VHD", "VHDX", "VMDK", "RAW", "QCOW2")
"""EC2's without OVA, which is an archive of a VM, and with what cloud images mostly are."""
_LONGEST_URL: Final = 2048
_URL: Final = re.compile(r"https?://[!-\[\]-~]+")  # what can be seen, without the backslash
_OBJECT: Final = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """A disk somewhere; an empty format is told by the file itself."""

    url: str
    format: str
    description: str | None


def read(ctx: Context, container: Mapping[str, Any], prefix: str) -> Source:
    """Read a disk container that stands at `prefix` in the request.

    :raises Ec2Error: ``UnsupportedOperation`` where nothing is imported at all, or for a format
        that is not; ``InvalidParameter`` for a place that nothing is fetched from;
        ``InvalidParameterValue``, ``InvalidParameterCombination``, ``MissingParameter``
    """
    refusals.check(container, refused.CONTAINER, prefix)
    format_ = _format(container.get("Format") or "", prefix)
    url, bucket = container.get("Url"), container.get("UserBucket") or {}
    if url and bucket:
        raise errors.invalid_parameter_combination("url", "userBucket")
    if bucket:
        raise import_errors.no_access(bucket.get("S3Bucket", ""), bucket.get("S3Key", ""))
    if not url:
        raise errors.missing_parameter(f"{prefix}Url")
    if not ctx.settings.import_prefixes or ctx.settings.depot is None:
        raise errors.unsupported_operation(f"{prefix}Url")
    _check(url, ctx.settings.import_prefixes)
    return Source(url, format_, container.get("Description") or None)


def _format(text: str, prefix: str) -> str:
    if text.upper() == "OVA":
        raise errors.unsupported_operation(f"{prefix}Format")
    if text and text.upper() not in FORMATS:
        sentence = f"Valid values are {', '.join(FORMATS)}."
        raise errors.invalid_parameter_value(text, "format", sentence)
    return text.upper()


def _check(url: str, prefixes: tuple[str, ...]) -> None:
    """Refuse what is below none of the prefixes, or leads out of it again."""
    if (found := _OBJECT.fullmatch(url)) is not None:
        raise import_errors.no_access(found[1], found[2])
    if len(url) > _LONGEST_URL or _URL.fullmatch(url) is None:
        raise import_errors.no_source()
    try:
        path = urllib.parse.urlsplit(url).path
    except ValueError:
        raise import_errors.no_source() from None
    steps = urllib.parse.unquote(path).replace("\\", "/").split("/")
    if ".." in steps or "." in steps or not url.startswith(prefixes):
        raise import_errors.no_source()
