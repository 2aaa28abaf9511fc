"""VPCs and subnets: the default ones that every account has, and the reads of all."""
