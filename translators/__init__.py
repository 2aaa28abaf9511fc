"""The two dictionaries: EC2's words (`ec2`), Hyper-V's words (`hyperv`), and what families share."""
