"""Key pairs: made here or brought along, listed, deleted. No private key is ever kept."""
