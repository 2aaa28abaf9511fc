"""The families of EC2 actions; the only place where EC2's and Hyper-V's words meet."""
