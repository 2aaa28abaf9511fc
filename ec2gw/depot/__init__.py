"""The depot: where disks wait on their way from one host to another; an HTTPS listener of its own."""
