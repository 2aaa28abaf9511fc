"""Who is asking: signatures, accounts and their keys. Knows no flask and no action."""
