"""Makes a JPEG of what a VM's screen shows.

Source: Pillow's documentation, "Writing your own image plugin", the raw mode BGR;16; EC2 API
Reference, GetConsoleScreenshot.
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from translators.hyperv.console import Picture

_QUALITY: Final = 85


def jpeg(picture: Picture) -> bytes:
    """Encode a picture whose size was checked when it was read: nothing else is decoded here."""
    size = picture.width, picture.height
    made = io.BytesIO()
    Image.frombytes("RGB", size, picture.pixels, "raw", "BGR;16").save(
        made, "JPEG", quality=_QUALITY
    )
    return made.getvalue()
