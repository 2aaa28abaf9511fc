"""What a guest is told of itself, on a disc or at 169.254.169.254, and by its firmware.

Shared by families and by the metadata service; nothing here knows Hyper-V, HTTP or a host.

Source: docs/guests.md.
"""
