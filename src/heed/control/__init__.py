"""The world of states and segments: agents that learn from comparisons of short clips (Christiano et al. 2017)."""
