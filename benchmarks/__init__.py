"""What requests cost the gateway and moto, side by side: `python -m benchmarks`.

Holds no part of the service. docs/performance.md says what the figures mean.
"""
