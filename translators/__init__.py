"""Two dictionaries, EC2's words (`ec2`) and Hyper-V's (`hyperv`), and what families share."""
