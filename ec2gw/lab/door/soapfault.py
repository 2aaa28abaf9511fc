"""The faults of a WS-Management service: one function for each, typed, raised by the caller.

Holds codes, subcodes and wording, no XML. Recorded on live hosts: 2150858793, 2150858843,
2150858767, 2147942402, 87. The others are written after the platform SDK's `wsmerror.h`; where it
names no subcode, after reports of hosts (quota: 2150859173 and 2150859174; 995; 109).

Source: MS-WSMV 2.2.4.43 (WSManFaultType); DSP0226, section 14; `wsmerror.h`, `winerror.h`.
"""

from __future__ import annotations

_WSMAN_FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_ADDRESSING_FAULT = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

OPERATION_TIMED_OUT = 2150858793
UNEXPECTED_SELECTORS = 2150858843  # a shell or a command that is not there
FILE_NOT_FOUND = 2147942402
NOT_ENOUGH_QUOTA = 2147943416
PATH_TOO_LONG = 2147942606
QUOTA_SHELLS = 2150859173
QUOTA_OPERATIONS = 2150859174
INVALID_PARAMETER = 87
PIPE_ENDED = 109
ABORTED = 995


class Fault(Exception):
    """What is answered with HTTP 500 and a SOAP fault.

    `reason` is for people, `message` (the same where not given) stands in the WSManFault;
    `from_shell` says that the shell's plugin found the fault and not the service.
    """

    def __init__(
        self,
        code: int,
        subcode: str,
        reason: str,
        *,
        by_sender: bool,
        message: str | None = None,
        detail: str | None = None,
        from_shell: bool = False,
    ) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.message = reason if message is None else message
        self.by_sender = by_sender
        self.detail = None if detail is None else _DETAIL + detail
        self.from_shell = from_shell

    @property
    def action(self) -> str:
        """The WS-Addressing action of the answer that carries the fault."""
        return _ADDRESSING_FAULT if self.subcode.startswith("a:") else _WSMAN_FAULT


def operation_timed_out() -> Fault:
    return Fault(
        OPERATION_TIMED_OUT,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in "
        "OperationTimeout.  ",
        by_sender=False,
    )


def _unexpected_selectors(message: str) -> Fault:
    return Fault(
        UNEXPECTED_SELECTORS,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained "
        "invalid selectors for the resource. ",
        by_sender=True,
        message=message,
        detail="UnexpectedSelectors",
    )


def shell_not_found(shell_id: str) -> Fault:
    return _unexpected_selectors(
        f"The request for the Windows Remote Shell with ShellId {shell_id[:64]} failed because the "
        "shell was not found on the server. Possible causes are: the specified ShellId is "
        "incorrect or the shell no longer exists on the server. Provide the correct ShellId or "
        "create a new shell and retry the operation. "
    )


def command_not_found() -> Fault:
    return _unexpected_selectors(
        "The Windows Remote Shell received a request to perform an operation on a command "
        "identifier that does not exist. Either the command has completed execution or the "
        "client specified an invalid command identifier. "
    )


def parameter_incorrect() -> Fault:
    return Fault(
        INVALID_PARAMETER,
        "w:InvalidParameter",
        "The parameter is incorrect. ",
        by_sender=True,
        detail="InvalidValue",
        from_shell=True,
    )


def _from_windows(code: int, text: str) -> Fault:
    return Fault(code, "w:InternalError", text, by_sender=False, from_shell=True)


def program_not_found() -> Fault:
    return _from_windows(FILE_NOT_FOUND, "The system cannot find the file specified. ")


def command_line_too_long() -> Fault:
    return _from_windows(PATH_TOO_LONG, "The filename or extension is too long. ")


def too_many_processes() -> Fault:
    return _from_windows(
        NOT_ENOUGH_QUOTA, "Not enough quota is available to process this command. "
    )


def pipe_ended() -> Fault:
    return _from_windows(PIPE_ENDED, "The pipe has been ended. ")


def aborted() -> Fault:
    return _from_windows(
        ABORTED,
        "The I/O operation has been aborted because of either a thread exit or an application "
        "request. ",
    )


def _quota(code: int, what: str) -> Fault:
    text = f"The WS-Management service cannot process the request. {what} "
    return Fault(code, "w:QuotaLimit", text, by_sender=True)


def too_many_shells(limit: int) -> Fault:
    return _quota(
        QUOTA_SHELLS,
        f"This user is allowed a maximum number of {limit} concurrent shells, which has been "
        "exceeded. Close existing shells or raise the quota for this user.",
    )


def too_many_operations(limit: int) -> Fault:
    return _quota(
        QUOTA_OPERATIONS,
        f"This user is allowed a maximum number of {limit} concurrent operations, which has been "
        "exceeded. Close existing operations for this user, or raise the quota for this user.",
    )


def invalid_timeout(text: str) -> Fault:
    return Fault(
        2150858767,
        "a:InvalidMessageInformationHeader",
        "The WS-Management service cannot process the request. The request contains one or more "
        "invalid SOAP headers. ",
        by_sender=True,
        message="The WS-Management service cannot process the request. The XML contains an "
        f"invalid timeout field in the SOAP header: {text[:64]}. ",
    )


def header_required() -> Fault:
    return Fault(
        2150858769,
        "a:MessageInformationHeaderRequired",
        "The WS-Management service cannot process the request. The request does not have all the "
        "expected SOAP headers. ",
        by_sender=True,
    )


def action_not_supported() -> Fault:
    return Fault(
        2150858771,
        "a:ActionNotSupported",
        "The WS-Management service does not support the action specified in the request. ",
        by_sender=True,
    )


def resource_not_found() -> Fault:
    return Fault(
        2150858752,
        "a:DestinationUnreachable",
        "The WS-Management service cannot process the request. The service cannot find the "
        "resource identified by the resource URI and selectors. ",
        by_sender=True,
        detail="InvalidResourceURI",
    )


def selector_required() -> Fault:
    return Fault(
        2150858842,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request did not "
        "contain all required selectors. ",
        by_sender=True,
        detail="InsufficientSelectors",
    )


def schema_violated() -> Fault:
    return Fault(
        2150858817,
        "w:SchemaValidationError",
        "The SOAP XML in the message does not match the corresponding XML schema definition. "
        "Change the XML and retry. ",
        by_sender=True,
    )


def xml_invalid() -> Fault:
    return Fault(
        2150858819,
        "w:InternalError",
        "The WS-Management service cannot process the request because the XML is invalid. ",
        by_sender=True,
        detail="Invalid",
    )
