"""Drives what owners asked for to rest on the hosts: one driver a host, and its surveys."""
