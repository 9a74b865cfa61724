"""Numbers that Yang & Liu (2026) print; rewards per tick, higher is better.

Times are of an Apple M1 with eight cores, without a GPU.
"""

# Table 1: mean and standard deviation over 40 test scenarios.
TABLE1: dict[str, dict[int, tuple[float, float]]] = {
    "DG-PG": {
        5: (-44.9, 9.8),
        10: (-43.5, 8.2),
        20: (-40.5, 4.7),
        50: (-41.7, 4.5),
        100: (-41.5, 3.2),
        200: (-46.4, 3.3),
    },
    "Best-Fit": {
        5: (-46.3, 10.7),
        10: (-43.7, 7.8),
        20: (-41.9, 4.2),
        50: (-41.1, 3.4),
        100: (-40.7, 2.4),
        200: (-41.0, 1.9),
    },
    "Random": {
        5: (-84.2, 49.2),
        10: (-78.7, 35.8),
        20: (-80.0, 22.2),
        50: (-66.8, 14.1),
        100: (-60.5, 7.7),
        200: (-60.0, 5.7),
    },
}
TABLE1_SCENARIOS = 40

# Section 6.2, text: mean training reward by episode 200, by servers and alpha.
FIGURE2 = {(50, 0.2): -40.3, (50, 0.8): -40.8, (20, 0.2): -39.9}

# Section 6.3, text: mean training reward, by servers and method.
FIGURE3 = {
    (5, "DG-PG"): -14.2,
    (5, "MAPPO"): -34.1,
    (5, "IPPO"): -39.8,
    (10, "IPPO"): -49.3,
    (10, "DG-PG"): -11.7,
}
FIGURE3_BEST_FIT = {5: -12.6}

# Section 6.4 and appendix K, Table 9: the episode at which the reward is within 10 % of the best,
# at most; minutes to it; seconds per episode; hours of 200 episodes. Figure 5 says at most 10 for
# 50 servers, too, for which Table 9 has no row.
CONVERGED = {5: 5, 10: 5, 20: 10, 50: 10, 100: 10, 200: 10}
TABLE9_MINUTES = {5: 0.75, 10: 1.0, 20: 3.0, 100: 25.0, 200: 35.0}
TABLE9_EPISODE = {5: 9.0, 10: 12.0, 20: 20.0, 100: 150.0, 200: 210.0}
TABLE9_HOURS = {5: 0.5, 10: 0.7, 20: 1.1, 100: 8.0, 200: 12.0}

# Abstract of the third version: episodes to convergence on average, with up to 1,500 agents.
CONVERGED_1500 = 20

# Table 8: run, key change, minibatch in decisions, epochs, gradient steps per episode, entropy
# coefficient, episodes, best reward, how it failed. All at N = 5 with a 2-layer MLP of 128.
TABLE8 = (
    (0, "DG-PG defaults", 256, 4, 3064, "0.02 (decay)", 726, -87.0, "entropy 1.59 to 0.26"),
    (1, "+ value normalisation", 256, 10, 7660, "0.01", 58, -78.0, "entropy 1.60 to 0.88"),
    (2, "epochs 10 to 4", 256, 4, 3064, "0.01", 73, -80.0, "entropy 1.54 to 1.36"),
    (3, "entropy 0.01 to 0.03", 256, 4, 3064, "0.03", 176, -92.0, "bonus drowns advantage"),
    (4, "official MAPPO", 50_000, 10, 40, "0.01", 170, -71.0, "critic too slow, EV at most 0.30"),
    (5, "batch to 20,000", 20_000, 15, 150, "0.01", 95, -77.0, "critic still insufficient"),
    (6, "batch to 10,000", 10_000, 15, 300, "0.01", 1000, -57.0, "never settles; held out -198"),
    (7, "+ reward shaping", 10_000, 15, 300, "0.01", 164, -80.0, "shaping below 0.001 % of reward"),
)
# Appendix J.1: run 6 on 40 held-out scenarios.
TABLE8_HELD_OUT = {6: -198.0}

# Appendix A, Table 2: by algorithm, the order of an agent's gradient variance in the number of
# agents (1 is N, 0 is constant, None where values are learnt), whether agents' updates are
# parallel, and what is learnt beside a standard actor and critic.
TABLE2: dict[str, tuple[float | None, bool, str]] = {
    "mappo": (1.0, True, "none"),
    "ippo": (1.0, True, "none"),
    "happo": (0.0, False, "none"),
    "coma": (1.0, True, "N critic heads"),
    "qmix": (None, True, "mixing network"),
    "vdn": (None, True, "none"),
    "qplex": (None, True, "attention mixer"),
    "mean-field": (0.0, True, "none"),
    "shaping": (1.0, True, "none"),
    "difference": (0.0, True, "none"),
    "dgpg": (0.0, True, "none"),
}

# Theorem 4.2 and section 2.2, as slopes of log variance over log N.
VARIANCE_SLOPES = {"mappo": 1.0, "dgpg-sampled": 0.0}
