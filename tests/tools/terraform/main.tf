# A key pair and an instance with all that may be said of it in place. What a run changes is said by
# variables.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {}

variable "image_id" {
  type = string
}

variable "type" {
  type    = string
  default = "t3.micro"
}

variable "user_data" {
  type    = string
  default = "#!/bin/sh\n"
}

variable "protected" {
  type    = bool
  default = true
}

variable "state" {
  type    = string
  default = "running"
}

resource "aws_key_pair" "key" {
  key_name   = "terraform"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPm9Y2o7sXyXHxoNyUMHZG+5xDGKDsxTeRGWyS8pTzUG"
  tags = {
    Project = "terraform"
  }
}

resource "aws_instance" "vm" {
  ami                     = data.aws_ami.image.id
  instance_type           = var.type
  key_name                = aws_key_pair.key.key_name
  subnet_id               = data.aws_subnet.first.id
  vpc_security_group_ids  = [data.aws_security_group.default.id]
  user_data               = var.user_data
  disable_api_termination = var.protected
  disable_api_stop        = false
  monitoring              = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  root_block_device {
    volume_size           = 10
    delete_on_termination = true
    tags = {
      Name = "root"
    }
  }

  tags = {
    Name = "terraform"
  }
}

resource "aws_ec2_tag" "owner" {
  resource_id = aws_instance.vm.primary_network_interface_id
  key         = "Owner"
  value       = data.aws_caller_identity.me.account_id
}

resource "aws_ec2_instance_state" "vm" {
  instance_id = aws_instance.vm.id
  state       = var.state
}
