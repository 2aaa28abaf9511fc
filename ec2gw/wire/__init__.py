"""EC2 Query in, XML out: requests and answers of every operation that botocore's model knows.

``form`` splits what arrived, ``model`` says which operation and shapes it means, ``parse`` makes
a dict of it, ``render`` makes an answer of one. Nothing here does I/O but for reading the model's
file once, and nothing knows of HTTP, accounts or state.

Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html
Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""
