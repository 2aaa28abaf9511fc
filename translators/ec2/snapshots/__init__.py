"""Snapshots: listed, shared, made of volumes at one point in time, copied and deleted."""
