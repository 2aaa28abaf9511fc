"""Security groups through the unmodified `aws`: what its pages of examples tell to type."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway, clean_environment

REGION = "ap-southeast-1"
AWS = Path(__file__).parents[2] / ".venv" / "bin" / "aws"


def run(gateway: Gateway, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(AWS), "ec2", *command.split(), "--region", REGION, "--output", "json"],
        env={**clean_environment(), **gateway.environment, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def aws(gateway: Gateway, command: str) -> Any:
    """Run `aws ec2 ...`; answer what it prints, read."""
    done = run(gateway, command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def refused(gateway: Gateway, command: str) -> str:
    done = run(gateway, command)
    assert done.returncode in (254, 255)
    return done.stderr


@pytest.mark.timeout(180)
def test_a_group_by_hand(gateway: Gateway) -> None:
    made = aws(
        gateway,
        "create-security-group --group-name hand --description by-hand "
        "--tag-specifications ResourceType=security-group,Tags=[{Key=Name,Value=hand}]",
    )
    group = made["GroupId"]
    # The short form is the tool's own: it says the same in EC2's words.
    allowed = aws(
        gateway,
        "authorize-security-group-ingress --group-name hand "
        "--protocol tcp --port 80-81 --cidr 203.0.113.0/24",
    )
    [web] = allowed["SecurityGroupRules"]
    assert (web["FromPort"], web["ToPort"], web["CidrIpv4"]) == (80, 81, "203.0.113.0/24")
    aws(
        gateway,
        f"authorize-security-group-ingress --group-id {group} --ip-permissions "
        "IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0,Description=ssh}],"
        "Ipv6Ranges=[{CidrIpv6=::/0}] "
        f"IpProtocol=-1,UserIdGroupPairs=[{{GroupId={group}}}]",
    )
    aws(
        gateway,
        f"modify-security-group-rules --group-id {group} --security-group-rules "
        f"SecurityGroupRuleId={web['SecurityGroupRuleId']},"
        "SecurityGroupRule={IpProtocol=tcp,FromPort=8080,ToPort=8080,CidrIpv4=198.51.100.0/24}",
    )
    revoke = f"revoke-security-group-ingress --group-id {group} --protocol tcp --port 22"
    aws(gateway, f"{revoke} --cidr 0.0.0.0/0")
    assert "InvalidPermission.NotFound" in refused(gateway, f"{revoke} --cidr 0.0.0.0/0")
    [shown] = aws(gateway, f"describe-security-groups --group-ids {group}")["SecurityGroups"]
    told = {
        (one["IpProtocol"], one.get("FromPort")): (
            [each["CidrIp"] for each in one["IpRanges"]],
            [each["CidrIpv6"] for each in one["Ipv6Ranges"]],
            [each["GroupId"] for each in one["UserIdGroupPairs"]],
        )
        for one in shown["IpPermissions"]
    }
    assert told == {
        ("tcp", 8080): (["198.51.100.0/24"], [], []),
        ("tcp", 22): ([], ["::/0"], []),
        ("-1", None): ([], [], [group]),
    }
    aws(gateway, f"delete-security-group --group-id {group}")
