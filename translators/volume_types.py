"""The types of volumes: how large, how fast, and what Hyper-V is told of it.

Hyper-V knows no volume types: they are remembered, and held by one number, MaximumIOPS of a
drive, which counts in pieces of 8 KB (`normalised_iops`).

Source: EC2 API Reference, CreateVolume and ModifyVolume; EBS User Guide, "Amazon EBS volume
types"; Set-VMHardDiskDrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from translators import errors

DEFAULT: Final = "gp2"
"""What EC2 makes where a request names no type."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A type's bounds, each the least and the most; what may not be asked for is None."""

    size_gib: tuple[int, int]
    iops: tuple[int, int] | None = None
    iops_default: int | None = None
    """None where there are bounds: they have to be asked for."""
    iops_per_gib: int | None = None
    throughput: tuple[int, int] | None = None
    boots: bool = True


TYPES: Final[Mapping[str, Rule]] = {
    "gp2": Rule((1, 16_384)),
    "gp3": Rule((1, 65_536), (3000, 80_000), 3000, 500, (125, 2000)),
    "io1": Rule((4, 16_384), (100, 64_000), None, 50),
    "io2": Rule((4, 65_536), (100, 256_000), None, 1000),
    "st1": Rule((125, 16_384), boots=False),
    "sc1": Rule((125, 16_384), boots=False),
    "standard": Rule((1, 1024)),
}
_IOPS_PER_MIBPS: Final = 4
"""A gp3 volume has at most a quarter of a MiB/s for each of its iops."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as it is to be."""

    size_gib: int
    type: str
    iops: int | None
    throughput: int | None

    def columns(self) -> dict[str, Any]:
        """Itself, by the columns of a volume's row."""
        return {
            "size_gib": self.size_gib,
            "type": self.type,
            "iops": self.iops,
            "throughput": self.throughput,
        }


def settle(
    kind: str,
    size_gib: int,
    iops: int | None,
    throughput: int | None,
    *,
    iops_default: int | None = None,
) -> Volume:
    """Check what was asked of a type, and fill in what it gives by itself.

    `iops_default` is for types that otherwise want them named: a modification's.

    :raises Ec2Error: ``InvalidParameterValue``, ``InvalidParameterCombination``,
        ``MissingParameter``
    """
    rule = rule_of(kind)
    least, most = rule.size_gib
    if not least <= size_gib <= most:
        few = size_gib < least
        word, bound, limit = ("small", "minimum", least) if few else ("large", "maximum", most)
        said = f"Volume of {size_gib}GiB is too {word} for volume type {kind}"
        raise _out(f"{said}; {bound} is {limit}GiB.")
    chosen = _iops(kind, rule, size_gib, iops, iops_default)
    return Volume(size_gib, kind, chosen, _throughput(kind, rule, chosen, throughput))


def rule_of(kind: str) -> Rule:
    """Find a type's bounds.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    rule = TYPES.get(kind)
    if rule is None:
        raise errors.invalid_parameter_value(kind, "volumeType", "Unknown volume type.")
    return rule


def _iops(
    kind: str, rule: Rule, size_gib: int, asked: int | None, default: int | None
) -> int | None:
    if rule.iops is None:
        if asked is not None:
            raise errors.invalid_parameter_combination_text(
                f"The parameter iops is not supported for {kind} volumes"
            )
        return baseline_iops(size_gib) if kind == "gp2" else None
    least, most = rule.iops
    if asked is None:
        default = rule.iops_default or default
        if default is None:
            raise errors.missing_parameter("iops")
        return max(least, min(default, _most_for(rule, size_gib)))
    if asked < least:
        raise _out(f"Volume iops of {asked} is too low; minimum is {least}.")
    if asked > most:
        raise _out(f"Volume iops of {asked} is too high; maximum is {most}.")
    if asked > _most_for(rule, size_gib):
        ratio, limit = asked / size_gib, rule.iops_per_gib
        raise _out(f"Iops to volume size ratio of {ratio:.6f} is too high; maximum is {limit}.")
    return asked


def _most_for(rule: Rule, size_gib: int) -> int:
    """What a volume of that size may have; a small one always has the type's least."""
    assert rule.iops is not None
    if rule.iops_per_gib is None:
        return rule.iops[1]
    return max(rule.iops[0], rule.iops_per_gib * size_gib)


def _throughput(kind: str, rule: Rule, iops: int | None, asked: int | None) -> int | None:
    if rule.throughput is None:
        if asked is not None:
            raise errors.invalid_parameter_combination_text(
                f"The parameter throughput is not supported for {kind} volumes"
            )
        return None
    least, most = rule.throughput
    if asked is None:
        return least
    if not least <= asked <= most:
        word, limit = ("low; minimum", least) if asked < least else ("high; maximum", most)
        raise _out(f"Volume throughput of {asked} is too {word} is {limit}.")
    if iops is not None and asked * _IOPS_PER_MIBPS > iops:
        said = f"Throughput (MiBps) to iops ratio of {asked / iops:.6f}"
        raise _out(f"{said} is too high; maximum is {1 / _IOPS_PER_MIBPS:.6f}.")
    return asked


def _out(sentence: str) -> errors.Ec2Error:
    return errors.invalid_parameter_value_text(sentence)


def baseline_iops(size_gib: int) -> int:
    """What a gp2 volume of that size is shown to have.

    >>> baseline_iops(8), baseline_iops(500), baseline_iops(16_384)
    (100, 1500, 16000)
    """
    return max(100, min(16_000, 3 * size_gib))


# -- what a host is told

_PIECES_PER_MIB: Final = 128
"""Hyper-V counts one I/O for each 8 KB: so many make a MiB."""


def normalised_iops(kind: str, size_gib: int, iops: int | None, throughput: int | None) -> int:
    """MaximumIOPS of a volume's drive: what lets through its I/O and its throughput alike.

    EBS counts up to 256 KiB as one I/O of an SSD, Hyper-V each 8 KB: the number that is right
    for small I/O would throttle large ones. So the larger of the two is taken. Credits for bursts
    are not kept: a type that has them may always burst.

    >>> normalised_iops("gp3", 100, 3000, 125), normalised_iops("io1", 100, 4000, None)
    (16000, 128000)
    """
    operations = iops or 0
    mibps: float = throughput or 125
    if kind == "gp2":
        operations = max(3000, iops or baseline_iops(size_gib))
        mibps = 128 if size_gib <= 170 else 250
    elif kind in ("io1", "io2"):
        mibps = min(1000 if kind == "io1" else 4000, operations / 4)
    elif kind in ("st1", "sc1"):
        per_tib, most = (250, 500) if kind == "st1" else (80, 250)
        operations, mibps = 0, min(most, per_tib * size_gib / 1024)
    elif kind == "standard":
        operations, mibps = 200, 90
    return max(operations, int(mibps * _PIECES_PER_MIB))
