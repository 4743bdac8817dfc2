"""How C is found: evolution strategies over returns in the game or in the dream."""
