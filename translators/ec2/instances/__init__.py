"""Instances: launch, power, what they look like, and how they are driven on their hosts."""
