"""Unmodified pywinrm against the laboratory's door, over real sockets on loopback."""
