"""What the terminal shows: the verdict, all tables, a comparison."""
