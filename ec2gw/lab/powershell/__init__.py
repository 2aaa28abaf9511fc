"""Runs the agent itself in a real PowerShell behind the laboratory's door, where there is one.

Instead of the laboratory's interpreter of frames the door starts `pwsh` with our loader. There
the Hyper-V cmdlets are generated functions: PowerShell binds each call by the real parameter sets,
and the function hands it over a socket to the laboratory's simulated cmdlet.

Source: docs/laboratory.md, "The agent itself behind the door".
"""
