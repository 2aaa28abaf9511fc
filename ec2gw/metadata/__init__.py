"""What guests find at 169.254.169.254; a listener and a process of its own."""
