"""`python -m ec2gw`: the same as the command `ec2gw`."""

from __future__ import annotations

import sys

from ec2gw import rooms

sys.exit(rooms.main())
