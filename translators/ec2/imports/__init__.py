"""Disks that come from outside, through the API: ImportImage, ImportSnapshot, and their tasks."""
