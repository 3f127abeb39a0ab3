"""What papers and libraries say, digit by digit: printed numbers, tables, sources."""
