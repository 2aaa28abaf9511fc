"""The embedded laboratory: simulated Hyper-V hosts behind real WS-Management.

Source: docs/architecture.md, "The laboratory".
"""
