"""The gate: whether a head is slower or larger than its base, with a known error rate.

In the order in which a value passes through:

sides        what base and head are, how they are installed, what is on them
pairs        what is compared, and a pair of fresh processes that take turns
own_tests    the user's own pytest-benchmark tests as what is compared
exact        structure and function, which need no statistics
loop, run    which subject gets the next pair, and one whole run
statistics   the tests, pure numbers, and the verdict
values       questions, pairs, verdicts, the result of a run
outputs      the result in sentences, on the terminal and in files
stored       the weaker comparison, with a run of another day
self_check   how often the gate errs on this machine, beside other tools' rules
"""
