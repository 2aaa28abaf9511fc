"""What is remembered: tables, ids, phases, and the one way to read and write them.

Knows nothing of HTTP, of EC2's wire, or of Hyper-V's cmdlets.
"""
