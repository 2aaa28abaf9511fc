# Groups and their rules in every way that they are written, a disk, snapshots, images, and who they
# are shared with. What a run changes is said by variables.
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

variable "friend" {
  type = string
}

variable "size" {
  type    = number
  default = 4
}

variable "iops" {
  type    = number
  default = 3000
}

variable "port" {
  type    = number
  default = 443
}

variable "more_groups" {
  type    = bool
  default = false
}

variable "description" {
  type    = string
  default = "first"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnet" "first" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = "us-east-1a"
  default_for_az    = true
}

# Rules in place.
resource "aws_security_group" "web" {
  name        = "terraform-web"
  description = "who may ask"
  vpc_id      = data.aws_vpc.default.id

  ingress {
    description      = var.description
    protocol         = "tcp"
    from_port        = var.port
    to_port          = var.port
    cidr_blocks      = ["10.0.0.0/8", "192.168.0.0/16"]
    ipv6_cidr_blocks = ["2001:db8::/32"]
  }
  ingress {
    protocol        = "tcp"
    from_port       = 22
    to_port         = 22
    security_groups = [aws_security_group.admins.id]
  }
  ingress {
    protocol  = "-1"
    from_port = 0
    to_port   = 0
    self      = true
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = {
    Name = "web"
  }
}

# Rules beside it, in today's form.
resource "aws_security_group" "admins" {
  name_prefix = "terraform-admins"
  description = "who may sign in"
  vpc_id      = data.aws_vpc.default.id
}

resource "aws_vpc_security_group_ingress_rule" "ping" {
  security_group_id = aws_security_group.admins.id
  description       = var.description
  ip_protocol       = "icmp"
  from_port         = 8
  to_port           = -1
  cidr_ipv4         = "0.0.0.0/0"
  tags = {
    Name = "ping"
  }
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id            = aws_security_group.admins.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = aws_security_group.web_peers.id
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.admins.id
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
}

# Rules beside it, in the older form.
resource "aws_security_group" "web_peers" {
  name   = "terraform-peers"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_security_group_rule" "peers" {
  security_group_id = aws_security_group.web_peers.id
  type              = "ingress"
  description       = var.description
  protocol          = "udp"
  from_port         = 1000
  to_port           = 2000
  cidr_blocks       = ["10.1.0.0/16", "10.2.0.0/16"]
}

resource "aws_security_group_rule" "self" {
  security_group_id = aws_security_group.web_peers.id
  type              = "egress"
  protocol          = "tcp"
  from_port         = 0
  to_port           = 65535
  self              = true
}

resource "aws_instance" "vm" {
  ami                    = var.image_id
  instance_type          = "t3.micro"
  subnet_id              = data.aws_subnet.first.id
  vpc_security_group_ids = concat([aws_security_group.web.id], var.more_groups ? [aws_security_group.admins.id] : [])

  root_block_device {
    volume_size = 10
    volume_type = "gp3"
  }
  ebs_block_device {
    device_name = "/dev/sdb"
    volume_size = 2
    volume_type = "gp2"
  }
  lifecycle {
    ignore_changes = [ebs_block_device] # the disk that is attached below shows there, too
  }
}

resource "aws_ebs_volume" "data" {
  availability_zone = aws_instance.vm.availability_zone
  size              = var.size
  type              = "gp3"
  iops              = var.iops
  throughput        = 125
  tags = {
    Name = "data"
  }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.vm.id
}

resource "aws_ebs_snapshot" "data" {
  volume_id   = aws_ebs_volume.data.id
  description = "of the disk"
  tags = {
    Name = "data"
  }
  depends_on = [aws_volume_attachment.data]
}

resource "aws_ebs_snapshot_copy" "data" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = "us-east-1"
  description        = "of the snapshot"
}

resource "aws_snapshot_create_volume_permission" "friend" {
  snapshot_id = aws_ebs_snapshot.data.id
  account_id  = var.friend
}

resource "aws_ebs_volume" "restored" {
  availability_zone = "us-east-1b"
  snapshot_id       = aws_ebs_snapshot_copy.data.id
  type              = "gp3"
}

resource "aws_ami_from_instance" "made" {
  name                    = "terraform-made"
  source_instance_id      = aws_instance.vm.id
  snapshot_without_reboot = true
  description             = var.description
  tags = {
    Name = "made"
  }
  depends_on = [aws_ebs_snapshot.data]
}

resource "aws_ami_launch_permission" "friend" {
  image_id   = aws_ami_from_instance.made.id
  account_id = var.friend
}

resource "aws_ami_copy" "made" {
  name              = "terraform-copied"
  source_ami_id     = aws_ami_from_instance.made.id
  source_ami_region = "us-east-1"
}

resource "aws_ami" "registered" {
  name                = "terraform-registered"
  virtualization_type = "hvm"
  root_device_name    = "/dev/sda1"
  ena_support         = true
  ebs_block_device {
    device_name = "/dev/sda1"
    snapshot_id = aws_ebs_snapshot.data.id
    volume_size = 20
    volume_type = "gp3"
  }
}

resource "aws_instance" "of_image" {
  ami           = aws_ami_copy.made.id
  instance_type = "t3.micro"
  subnet_id     = data.aws_subnet.first.id
}

data "aws_ebs_snapshot" "data" {
  owners      = ["self"]
  most_recent = true
  filter {
    name   = "volume-id"
    values = [aws_ebs_volume.data.id]
  }
  filter {
    name   = "description"
    values = ["of the disk"]
  }
  depends_on = [aws_ebs_snapshot.data]
}

data "aws_ebs_snapshot_ids" "all" {
  owners     = ["self"]
  depends_on = [aws_ami_copy.made, aws_ebs_snapshot_copy.data]
}

data "aws_vpc_security_group_rules" "admins" {
  filter {
    name   = "group-id"
    values = [aws_security_group.admins.id]
  }
  depends_on = [
    aws_vpc_security_group_ingress_rule.ping,
    aws_vpc_security_group_ingress_rule.web,
    aws_vpc_security_group_egress_rule.all,
  ]
}

output "ids" {
  value = {
    instance  = aws_instance.vm.id
    volume    = aws_ebs_volume.data.id
    web       = aws_security_group.web.id
    snapshot  = data.aws_ebs_snapshot.data.id
    snapshots = data.aws_ebs_snapshot_ids.all.ids
    rules     = data.aws_vpc_security_group_rules.admins.ids
    image     = aws_ami_from_instance.made.id
  }
}
