# SPDX-License-Identifier: GPL-2.0-or-later
"""Few rows in which every two values of different factors meet."""

import itertools
import random


def pairs(row, names):
    """Every two (factor, value) of a row, a dictionary."""
    return set(itertools.combinations([(name, row[name]) for name in names], 2))


def possible(factors, allowed):
    """Every pair of values that some row may hold.

    allowed(row) must look at no more than three factors at once, and be true for
    factors that the row lacks.
    """
    found = set()
    for (a, avs), (b, bvs) in itertools.combinations(factors.items(), 2):
        for x, y in itertools.product(avs, bvs):
            if allowed({a: x, b: y}):
                found.add(((a, x), (b, y)))
    return found


def missing(rows, factors, allowed):
    """Pairs of values that no row holds."""
    left = possible(factors, allowed)
    for row in rows:
        left -= pairs(row, list(factors))
    return left


def _complete(start, factors, allowed, rng, left):
    """A row that holds the values of start; None when there is none."""
    row = dict(start)
    names = [name for name in factors if name not in row]
    rng.shuffle(names)

    def gain(name, value):
        return sum(tuple(sorted([(name, value), other], key=lambda p: order[p[0]]))
                   in left for other in row.items())

    order = {name: i for i, name in enumerate(factors)}

    def fill(at):
        if at == len(names):
            return True
        values = list(factors[names[at]])
        rng.shuffle(values)
        for value in sorted(values, key=lambda v: -gain(names[at], v)):
            row[names[at]] = value
            if allowed(row) and fill(at + 1):
                return True
            del row[names[at]]
        return False

    return {name: row[name] for name in factors} if fill(0) else None


def cover(factors, allowed, seed, rows=(), tries=20):
    """Rows that hold, with those given, every possible pair. Greedy."""
    rng = random.Random(seed)
    left = missing(rows, factors, allowed)
    made = []
    while left:
        target = rng.choice(sorted(left, key=repr))
        new = [_complete(dict(target), factors, allowed, rng, left)
               for _ in range(tries)]
        new = [row for row in new if row]
        if not new:
            raise ValueError(f"no row can hold {target}")
        best = max(new, key=lambda row: len(pairs(row, list(factors)) & left))
        left -= pairs(best, list(factors))
        made.append(best)
    return made
