"""The depot: where disks wait on their way between hosts; an HTTPS listener of its own."""
