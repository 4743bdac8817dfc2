"""World Models (Ha & Schmidhuber, 2018): agents that learn a model of a game and act inside its dream."""

import os

# Ray reads both when it is imported: no usage reports, and no environments of its own making in its workers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

__version__ = "0.1.0"
