"""Parameters that would change the result and that we cannot honour; one table a request.

Source: EC2 API Reference, CreateVolume, AttachVolume, ModifyVolume.
"""

from __future__ import annotations

from typing import Final

from translators.refusals import Table

VOLUME: Final[Table] = {
    "Encrypted": (),
    "KmsKeyId": (),
    "MultiAttachEnabled": (),
    "Operator.Principal": (),
    "OutpostArn": (),
}
ATTACHMENT: Final[Table] = {
    "EbsCardIndex": (),
}
MODIFICATION: Final[Table] = {
    "MultiAttachEnabled": (),
}
