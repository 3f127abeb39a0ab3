"""The gate: whether a head is slower or larger than its base, with an error rate that is known.

In the order in which a value passes through:

sides, revisions, probing  what base and head are, how they are installed, what is on them
subjects, node_ids         what is compared: tasks of workers, tests of pytest (side_pytest,
                           guarded, witness)
templates, pairs           a pair of fresh processes, and who serves whom
exact                      structure and function, which need no statistics
loop, running              which subject gets the next pair, and one whole run
betting, judging           the test, pure numbers, and the verdict
values                     questions, pairs, verdicts, the result of a run
words                      what was found in sentences; terminal, markdown, junit and saved are its
                           forms
stored, ranks              the weaker comparison with a run of another day (stored_words)
self_test, peers           how often the gate errs on this machine, beside other tools' rules
"""
