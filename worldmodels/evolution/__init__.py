"""How C is found: CMA-ES over returns in the game or in the dream."""
