"""Proves or disproves a real host: probes with plain verdicts, on VMs and files of its own.

The probes are data (`catalogue.PROBES`): who runs it may read before what will be done.

Source: docs/operations.md, "Proving a host".
"""
