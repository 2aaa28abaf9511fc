"""The laboratory's door: a WS-Management shell service in front of one simulated host.

Holds HTTP, sign-in, SOAP, shells and their limits; what a started program does is plugged in
through `ec2gw.lab.door.process`. `ec2gw.lab.door.server.Door` puts the parts together.

Source: MS-WSMV (Web Services Management Protocol Extensions for Windows Vista); how live hosts
answered, recorded in pypsrp's tests (MIT).
"""
