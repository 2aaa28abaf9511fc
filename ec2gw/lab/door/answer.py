"""Writes answers of WS-Management as live hosts write them: order, prefixes and attributes.

Holds text only. Elements, namespaces and their order are held against recorded answers in the
tests; the ActivityId is what Windows Server 2016 and later add.

Source: answers of live hosts, recorded in pypsrp's tests (MIT); MS-WSMV 2.2.4.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from xml.sax import saxutils

from ec2gw.lab.door import envelope
from ec2gw.lab.door.soapfault import Fault

CMD = f"{envelope.SHELL}/cmd"
_MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
_PREFIXES = {
    "s": envelope.SOAP,
    "a": envelope.ADDRESSING,
    "x": envelope.TRANSFER,
    "e": "http://schemas.xmlsoap.org/ws/2004/08/eventing",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "w": envelope.WSMAN,
    "rsp": envelope.SHELL,
    "p": _MICROSOFT,
}
# Which prefixes a host declares depends on the kind of answer.
_DECLARED = {
    "Receive": ("s", "a", "w", "rsp", "p"),
    "Delete": ("s", "a", "w", "p"),
    "Fault": ("s", "a", "x", "e", "n", "w", "p"),
}
_DECLARED_ELSE = ("s", "a", "x", "w", "rsp", "p")
_SHELL_PLUGIN = r'provider="Shell cmd plugin" path="%systemroot%\system32\winrscmd.dll"'

ENVELOPE_OVERHEAD_BYTES = 2600
"""What a Receive's answer holds besides its streams' content, generously."""


def new_id() -> str:
    """Make an id as hosts write it: a GUID in upper case."""
    return str(uuid.uuid4()).upper()


def answered(kind: str, action: str, message_id: str, body: str) -> bytes:
    """Wrap the body of a successful answer."""
    declared = _DECLARED.get(kind, _DECLARED_ELSE)
    return _envelope(declared, f"{action}Response", message_id, body)


def failed(fault: Fault, message_id: str, machine: str) -> bytes:
    """Write a fault; `machine` is the host as it calls itself."""
    message = _escaped(fault.message)
    if fault.from_shell:
        message = f"<f:ProviderFault {_SHELL_PLUGIN}>{message}</f:ProviderFault>"
    detail = f"<w:FaultDetail>{fault.detail}</w:FaultDetail>" if fault.detail else ""
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if fault.by_sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{_escaped(fault.reason)}</s:Text></s:Reason>'
        f'<s:Detail>{detail}<f:WSManFault xmlns:f="{_FAULT}" Code="{fault.code}" '
        f'Machine="{_escaped(machine)}"><f:Message>{message}</f:Message></f:WSManFault>'
        "</s:Detail></s:Fault>"
    )
    return _envelope(_DECLARED["Fault"], fault.action, message_id, body)


def identified(version: str) -> bytes:
    """Answer Identify, which has no addressing."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{envelope.SOAP}"><s:Header></s:Header><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{envelope.IDENTITY}">'
        f"<wsmid:ProtocolVersion>{envelope.WSMAN}</wsmid:ProtocolVersion>"
        "<wsmid:ProductVendor>ec2gw laboratory</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>{_escaped(version)}</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


def created(
    *,
    endpoint: str,
    shell_id: str,
    owner: str,
    client_address: str,
    environment: Mapping[str, str],
    working_directory: str,
    idle_seconds: float,
    input_streams: str,
    output_streams: str,
) -> str:
    """The body that answers Create."""
    variables = "".join(
        f'<rsp:Variable Name="{_escaped(name)}">{_escaped(value)}</rsp:Variable>'
        for name, value in environment.items()
    )
    optional = f"<rsp:Environment>{variables}</rsp:Environment>" if variables else ""
    if working_directory:
        directory = _escaped(working_directory)
        optional += f"<rsp:WorkingDirectory>{directory}</rsp:WorkingDirectory>"
    return (
        f"<x:ResourceCreated><a:Address>{_escaped(endpoint)}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{CMD}</w:ResourceURI>"
        f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
        "</a:ReferenceParameters></x:ResourceCreated>"
        f'<rsp:Shell xmlns:rsp="{envelope.SHELL}"><rsp:ShellId>{shell_id}</rsp:ShellId>'
        f"<rsp:ResourceUri>{CMD}</rsp:ResourceUri><rsp:Owner>{_escaped(owner)}</rsp:Owner>"
        f"<rsp:ClientIP>{_escaped(client_address)}</rsp:ClientIP>{optional}"
        f"<rsp:IdleTimeOut>PT{idle_seconds:.3f}S</rsp:IdleTimeOut>"
        f"<rsp:InputStreams>{_escaped(input_streams)}</rsp:InputStreams>"
        f"<rsp:OutputStreams>{_escaped(output_streams)}</rsp:OutputStreams>"
        "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
        "<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>"
    )


def started(command_id: str) -> str:
    """The body that answers Command."""
    return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"


def received(
    command_id: str, chunks: Sequence[tuple[str, bytes]], exit_code: int | None, streams: str
) -> str:
    """The body that answers Receive; with an exit code it is the last one."""
    parts = [
        f'<rsp:Stream Name="{name}" CommandId="{command_id}">'
        f"{base64.b64encode(data).decode('ascii')}</rsp:Stream>"
        for name, data in chunks
    ]
    state = f'<rsp:CommandState CommandId="{command_id}" State="{envelope.SHELL}/CommandState/'
    if exit_code is None:
        parts.append(f'{state}Running"></rsp:CommandState>')
    else:
        parts += [
            f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>'
            for name in streams.split()
        ]
        code = f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>"
        parts.append(f'{state}Done">{code}</rsp:CommandState>')
    return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"


def _envelope(declared: Sequence[str], action: str, message_id: str, body: str) -> bytes:
    names = " ".join(f'xmlns:{prefix}="{_PREFIXES[prefix]}"' for prefix in declared)
    relates_to = f"<a:RelatesTo>{_escaped(message_id)}</a:RelatesTo>" if message_id else ""
    return (
        f'<s:Envelope xml:lang="en-US" {names}><s:Header><a:Action>{_escaped(action)}</a:Action>'
        f"<a:MessageID>uuid:{new_id()}</a:MessageID><p:ActivityId>{new_id()}</p:ActivityId>"
        f"<a:To>{envelope.ADDRESSING}/role/anonymous</a:To>{relates_to}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _escaped(text: str) -> str:
    return saxutils.escape(text, {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
