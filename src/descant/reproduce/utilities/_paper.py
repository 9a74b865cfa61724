"""Published numbers, as tables and plots have them; those read off plots are good to about 2 %.

Wireless access, variant B: Ying, Zhang, Ding, Koppel and Lavaei (2023), from the images published
with their code: packets that a user gets through in an episode of 12 ticks.
"""

RADIUS = {0: 1.84, 1: 3.42}
"""By radius, which is that of what policies see, too."""
PRICES = {"closed, 1": (3.41, 0.70), "closed, 10": (2.56, 0.02), "closed, 100": (3.42, 0.06)}
"""Packets and total violation by the rate of prices."""
