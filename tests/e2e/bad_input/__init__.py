"""What is asked wrongly, and EC2's code, HTTP status and wording for it.

Where AWS's own sentence is not known, code and status are held, and what the sentence names.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API"; recorded answers of EC2.
"""
