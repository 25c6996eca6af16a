"""Checkpoints carried over to a changed spec, where the comparison of both specs says that it is possible.

    plan.py      what is asked: the checkpoint, the spec, what becomes of every tensor; refuses what cannot be done
    carry.py     tensors to tensors: weights, averages, AdamW's moments
    expected.py  which configurations must compute the same, and why
    outcome.py   what was found of one configuration
    proof.py     both stacks on fixed inputs, configuration by configuration
    write.py     the migrated run or file, whole or not at all
    run.py       the three in order
    migration.py what was done, as data and in words

takes: a checkpoint, a spec
gives: a run whose one checkpoint is the migrated one, or a file of weights; a `Migration`, which says what was done
may import: `legoc.review`, `legoc.inspection`, `legoc.driver`, `legoc_runtime`; torch only where tensors are,
    so that a refusal needs none
"""

from legoc.migrate.plan import Plan, plan_migration

__all__ = ["Plan", "plan_migration"]
