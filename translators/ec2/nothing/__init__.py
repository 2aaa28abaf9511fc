"""What an account does not have here, truly: actions whose lists are empty."""
