"""Images: what may be launched, registered from the operator's disks, shared, and taken back."""
