"""Hyper-V as it is: looks at hosts and plans of cmdlet calls. Knows no EC2 word."""
