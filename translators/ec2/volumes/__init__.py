"""Volumes: disks that come and go, and their places in instances."""
