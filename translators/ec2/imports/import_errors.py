"""The errors of imports alone.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API"; answers seen of ImportSnapshot.
"""

from __future__ import annotations

from translators.errors import Ec2Error


def no_access(bucket: str, key: str) -> Ec2Error:
    message = f"User does not have access to the S3 object ({bucket}/{key})."
    return Ec2Error("InvalidParameter", message)


def no_source() -> Ec2Error:
    return Ec2Error("InvalidParameter", "Invalid S3 source location.")


def over(task_id: str, state: str) -> Ec2Error:
    message = f"The import task {task_id} is not active: it is in the state {state}."
    return Ec2Error("IncorrectState", message)


def too_many(limit: int) -> Ec2Error:
    message = f"The limit of {limit} concurrent import tasks has been reached."
    return Ec2Error("ResourceLimitExceeded", message)
