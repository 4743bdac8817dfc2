"""Playing unknown games: policies that explore, and the job that plays them. Imports torch only for random agents."""
