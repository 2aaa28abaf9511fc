"""Copies of disks by the host's management service, and the jobs that tell how far they are.

Source: learn.microsoft.com, Msvm_ImageManagementService.ConvertVirtualHardDisk, Msvm_StorageJob,
CIM_ConcreteJob (JobState); the agent's Start-DiskCopy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ec2gw.lab.cmdlets.objects import Live, Values, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, paths
from ec2gw.lab.world.session import Session

JOB_STARTED, FILE_NOT_FOUND, NOT_A_DISK = 4096, 32779, 32773
RUNNING = 4
STATES: Mapping[str, int] = {
    "Completed": 7,
    "Terminated": 8,
    "Exception": 10,
    "CompletedWithWarnings": 32768,
}
"""How a job ended -> JobState."""
FAILED = 32768
DONE, INVALID_PARAMETER, INVALID_STATE = 0, 32773, 32775
TERMINATE = 4
CLONES_FROM = 26100
"""Of CIM_ConcreteJob.RequestStateChange."""


@cmdlet("Agent\\Start-DiskCopy", simulates="Source Destination")
def start_disk_copy(shell: Shell) -> Sequence[Live]:
    """Begin a flat copy. It goes on whatever becomes of the session, and of the laboratory."""
    with shell.changing() as session:
        source = session.file(shell.text("Source"))
        if source is None or source.folder:
            return [_answer("", FILE_NOT_FOUND)]
        if source.vhd is None:
            return [_answer("", NOT_A_DISK)]
        if _clones(session) and source.vhd.parent is None:
            clone = dataclasses.replace(
                source,
                path=paths.canonical(shell.text("Destination")),
                read_only=False,
                vhd=dataclasses.replace(source.vhd),
                created_at=session.now,
            )
            session.put_file(clone)
            return [_answer("", DONE)]
        job = disks.begin_copy(session, source.path, shell.text("Destination"), shell.injected)
        return [_answer(job.id, JOB_STARTED)]


def _clones(session: Session) -> bool:
    """Whether copying a file shares its blocks: from Windows Server 2025 on, on ReFS."""
    return session.machine.file_system == "ReFS" and session.machine.build >= CLONES_FROM


def request_state(shell: Shell, job_id: str, arguments: Mapping[str, object]) -> int:
    """End a job before its time; half of its file stays."""
    if arguments["RequestedState"] != TERMINATE:
        return INVALID_PARAMETER
    with shell.changing() as session:
        found = [job for job in session.machine.jobs if job.id == job_id and not job.ended]
        for job in found:
            disks.terminate(session, job)
        return DONE if found else INVALID_STATE


def _answer(job: str, code: int) -> Live:
    return Values.of("DiskCopy", {"Job": job, "Code": code})


def storage_jobs(session: Session) -> list[Live]:
    return [_storage_job(session, job) for job in session.machine.jobs]


def _storage_job(session: Session, job: model.Job) -> Live:
    state = STATES[job.outcome] if job.ended else RUNNING
    failed = job.ended and job.outcome == "Exception"
    text = f"The system failed to convert '{job.source}' ({job.error})." if failed else ""
    changed = job.ends_at if job.ended and job.ends_at is not None else job.began_at
    values = {
        "InstanceID": job.id,
        "Name": "Storage Job",
        "Caption": "Storage Job",
        "ElementName": "Storage Job",
        "Description": "Storage Job",
        "JobState": state,
        "JobStatus": "OK" if not failed else "Error",
        "PercentComplete": job.progress(session.now),
        "ErrorCode": FAILED if failed else 0,
        "ErrorDescription": text,
        "ErrorSummaryDescription": text,
        "OperationalStatus": [2] if not failed else [6],
        "HealthState": 5,
        "StartTime": time(job.began_at),
        "TimeSubmitted": time(job.began_at),
        "TimeOfLastStateChange": time(changed),
        "DeleteOnCompletion": False,
        "Cancellable": True,
    }
    return Values.of("root/virtualization/v2:Msvm_StorageJob", values, "", job.id)
