# Every data source whose actions are on offer.
data "aws_caller_identity" "me" {}

data "aws_region" "here" {}

data "aws_regions" "all" {}

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_availability_zone" "first" {
  name = data.aws_availability_zones.all.names[0]
}

data "aws_vpc" "default" {
  default = true
}

data "aws_vpcs" "all" {}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_subnet" "first" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = data.aws_availability_zone.first.name
  default_for_az    = true
}

data "aws_security_group" "default" {
  vpc_id = data.aws_vpc.default.id
  name   = "default"
}

data "aws_security_groups" "all" {}

data "aws_route_table" "main" {
  vpc_id = data.aws_vpc.default.id
  filter {
    name   = "association.main"
    values = ["true"]
  }
}

data "aws_route_tables" "all" {
  vpc_id = data.aws_vpc.default.id
}

data "aws_internet_gateway" "default" {
  filter {
    name   = "attachment.vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_network_acls" "all" {
  vpc_id = data.aws_vpc.default.id
}

data "aws_vpc_dhcp_options" "default" {
  dhcp_options_id = data.aws_vpc.default.dhcp_options_id
}

data "aws_ami" "image" {
  owners      = ["amazon"]
  most_recent = true
  filter {
    name   = "image-id"
    values = [var.image_id]
  }
}

data "aws_ami_ids" "all" {
  owners = ["amazon", "self"]
}

data "aws_ec2_instance_type" "wanted" {
  instance_type = var.type
}

data "aws_ec2_instance_types" "current" {
  filter {
    name   = "current-generation"
    values = ["true"]
  }
}

data "aws_ec2_instance_type_offering" "wanted" {
  preferred_instance_types = [var.type]
  filter {
    name   = "instance-type"
    values = [var.type]
  }
}

data "aws_ec2_instance_type_offerings" "zones" {
  location_type = "availability-zone"
  filter {
    name   = "instance-type"
    values = [var.type]
  }
}

data "aws_eips" "none" {}

data "aws_nat_gateways" "none" {}

data "aws_vpc_peering_connections" "none" {}

data "aws_ec2_managed_prefix_lists" "none" {}

# What tells of the instance once it is there.
data "aws_key_pair" "key" {
  key_name           = aws_key_pair.key.key_name
  include_public_key = true
}

data "aws_instance" "vm" {
  instance_id   = aws_instance.vm.id
  get_user_data = true
}

data "aws_instances" "all" {
  instance_tags        = aws_instance.vm.tags
  instance_state_names = ["running", "stopped"]
}

data "aws_network_interface" "primary" {
  id = aws_instance.vm.primary_network_interface_id
}

data "aws_network_interfaces" "all" {
  filter {
    name   = "attachment.instance-id"
    values = [aws_instance.vm.id]
  }
}

data "aws_ebs_volume" "root" {
  filter {
    name   = "attachment.instance-id"
    values = [aws_instance.vm.id]
  }
}

data "aws_ebs_volumes" "all" {
  tags = {
    Name = "root"
  }
  depends_on = [aws_instance.vm]
}

output "instance_id" {
  value = aws_instance.vm.id
}

output "zones" {
  value = data.aws_ec2_instance_type_offerings.zones.locations
}

output "found" {
  value = {
    instances  = data.aws_instances.all.ids
    interfaces = data.aws_network_interfaces.all.ids
    volumes    = data.aws_ebs_volumes.all.ids
    user_data  = data.aws_instance.vm.user_data_base64
    address    = data.aws_network_interface.primary.private_ip
    size       = data.aws_ebs_volume.root.size
    images     = data.aws_ami_ids.all.ids
  }
}
