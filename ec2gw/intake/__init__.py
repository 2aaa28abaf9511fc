"""The intake: disks that come from outside, fetched, looked through and made into VHDX files."""
