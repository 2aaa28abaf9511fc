"""Networks as an account sees them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.models.base import NEVER_AGAIN, Base, Keyed, Resource


class Vpc(Resource, Base):
    __tablename__ = "vpc"
    cidr: Mapped[str]
    state: Mapped[str] = mapped_column(default="available")
    is_default: Mapped[bool] = mapped_column(default=False)
    tenancy: Mapped[str] = mapped_column(default="default")
    dns_hostnames: Mapped[bool] = mapped_column(default=True)
    dns_support: Mapped[bool] = mapped_column(default=True)
    network_address_usage_metrics: Mapped[bool] = mapped_column(default=False)
    dhcp_options_key: Mapped[int] = mapped_column(ForeignKey("dhcp_options.key"))
    association_id: Mapped[str]


class Subnet(Resource, Base):
    __tablename__ = "subnet"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"), index=True)
    network_key: Mapped[int] = mapped_column(ForeignKey("network.key"))
    zone: Mapped[str]
    cidr: Mapped[str]
    state: Mapped[str] = mapped_column(default="available")
    default_for_az: Mapped[bool] = mapped_column(default=False)
    map_public_ip_on_launch: Mapped[bool] = mapped_column(default=False)
    network_acl_association_id: Mapped[str]


class SecurityGroup(Resource, Base):
    __tablename__ = "security_group"
    name: Mapped[str]
    description: Mapped[str]
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    __table_args__ = (UniqueConstraint("vpc_key", "name"), NEVER_AGAIN)


class SecurityGroupRule(Resource, Base):
    __tablename__ = "security_group_rule"
    group_key: Mapped[int] = mapped_column(ForeignKey("security_group.key"), index=True)
    is_egress: Mapped[bool]
    protocol: Mapped[str]  # tcp, udp, icmp, icmpv6, a number as text, or -1
    from_port: Mapped[int | None]
    to_port: Mapped[int | None]
    cidr_ipv4: Mapped[str | None]
    cidr_ipv6: Mapped[str | None]
    referenced_group_key: Mapped[int | None] = mapped_column(ForeignKey("security_group.key"))
    description: Mapped[str | None]


class RouteTable(Resource, Base):
    __tablename__ = "route_table"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    main: Mapped[bool] = mapped_column(default=False)
    main_association_id: Mapped[str | None]


class Route(Keyed, Base):
    __tablename__ = "route"
    route_table_key: Mapped[int] = mapped_column(ForeignKey("route_table.key"), index=True)
    destination_cidr: Mapped[str]
    gateway_id: Mapped[str]  # "local" or an internet gateway's id
    origin: Mapped[str] = mapped_column(default="CreateRouteTable")


class InternetGateway(Resource, Base):
    __tablename__ = "internet_gateway"
    vpc_key: Mapped[int | None] = mapped_column(ForeignKey("vpc.key"))


class NetworkAcl(Resource, Base):
    __tablename__ = "network_acl"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    is_default: Mapped[bool] = mapped_column(default=False)
    entries: Mapped[list[Any]] = mapped_column(default=list)  # as EC2 shows them


class DhcpOptions(Resource, Base):
    __tablename__ = "dhcp_options"
    configurations: Mapped[dict[str, Any]]  # {"domain-name": ["..."], ...}


class NetworkInterface(Resource, Base):
    __tablename__ = "network_interface"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    subnet_key: Mapped[int] = mapped_column(ForeignKey("subnet.key"), index=True)
    network_key: Mapped[int] = mapped_column(ForeignKey("network.key"))
    zone: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    mac: Mapped[str] = mapped_column(unique=True)
    private_ip: Mapped[str]
    source_dest_check: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="in-use")
    instance_key: Mapped[int | None] = mapped_column(ForeignKey("instance.key"), index=True)
    device_index: Mapped[int] = mapped_column(default=0)
    attachment_id: Mapped[str | None]
    attachment_status: Mapped[str | None]
    attach_time: Mapped[dt.datetime | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=True)
    requester_managed: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (
        UniqueConstraint("network_key", "private_ip"),
        Index("ix_network_interface_owner", "account_key", "region", "key"),
        NEVER_AGAIN,
    )


class InterfaceRules(Base):
    """Whether the port of an interface has the rules that its groups want by now."""

    __tablename__ = "interface_rules"
    interface_key: Mapped[int] = mapped_column(
        ForeignKey("network_interface.key", ondelete="CASCADE"), primary_key=True
    )
    wanted: Mapped[int] = mapped_column(default=1)  # raised by every change of the rules
    applied: Mapped[int] = mapped_column(default=0)  # what the host was seen with
    changed_at: Mapped[dt.datetime]
    __table_args__ = (Index("ix_interface_rules_due", "interface_key", "wanted", "applied"),)


class InterfaceGroup(Base):
    """Which security groups an interface is in."""

    __tablename__ = "interface_group"
    interface_key: Mapped[int] = mapped_column(
        ForeignKey("network_interface.key", ondelete="CASCADE"), primary_key=True
    )
    group_key: Mapped[int] = mapped_column(
        ForeignKey("security_group.key"), primary_key=True, index=True
    )
