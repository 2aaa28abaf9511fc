"""The link to a host: workers, framing, breaker, and the agent that is sent there."""
