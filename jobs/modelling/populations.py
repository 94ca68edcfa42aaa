"""The populations that a model is judged on, and the names under which `metrics` has earlier models."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the report needs the names alone, not what trains models
    from fusion.data.splits import Kind
    from fusion.models.base import Population

LAST_PROMOTED, BEST_PROMOTED = "last_promoted", "best_promoted"
LAST_WEIGHTS = "last_weights"
"""The night's model with the last promoted one's weights for the populations that it was refused for."""
LEAD = "_lead"
"""What follows the name of a metric where a model's figure is how far the one that serves is ahead of it."""
POPULATIONS: "Mapping[Kind, tuple[Population, str, str]]" = {
    "per_user": ("with_history", "users with history", "all"),
    "cold_items": ("new_items", "new items", "all"),
    "global_time": ("without_history", "users without history", "cold_users"),
}
"""Kind of split → the population that is judged on it, in words, and its segment."""
