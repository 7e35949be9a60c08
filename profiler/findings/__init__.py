"""What an operator should know about a profile: rules over numbers, a module for each kind."""
