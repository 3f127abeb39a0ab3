"""The gate: whether a head is slower or larger than its base, with an error rate that is known.

values: what is asked and what comes of it. betting: the test, pure numbers. judging: pairs to
verdicts. pairs: one pair of live processes. sides: what base and head are, and how they start.
simulation: pairs of uneven machines. peers: other tools' rules. curves: how both fare on them.
"""
