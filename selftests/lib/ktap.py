# SPDX-License-Identifier: GPL-2.0-or-later
"""Test results in the kernel's test format (TAP), one line per case."""
import os
import sys
import time
import traceback


# On the debug kernel everything takes so many times as long.
SLOW = int(os.environ.get("MOAT_SLOW", "1"))


class Failed(Exception):
    """A case did not hold."""


class Results:
    """Run cases and count them; finish() prints the plan and exits."""

    def __init__(self):
        self.count = 0
        self.failed = 0
        print("TAP version 13", flush=True)

    def run(self, name, case, *args):
        """One case: passes unless it raises."""
        self.count += 1
        started = time.monotonic()
        try:
            case(*args)
            verdict = "ok"
        except Exception as error:      # whatever went wrong, the next case runs
            self.failed += 1
            verdict = "not ok"
            if isinstance(error, Failed):
                frame = traceback.extract_tb(error.__traceback__)[-2]
                print(f"# line {frame.lineno}: {error}")
            else:
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}")
        took = time.monotonic() - started
        print(f"{verdict} {self.count} {name} # {took:.1f} s", flush=True)

    def finish(self):
        """Print the plan; exit 0 only if there were cases and all held."""
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed or not self.count else 0)


def check(condition, sentence):
    """Fail with a sentence unless the condition holds."""
    if not condition:
        raise Failed(sentence)


def same(found, expected, what):
    """Fail unless both are equal, and show both."""
    if found != expected:
        raise Failed(f"{what}: found {found!r}, expected {expected!r}")


def wait_for(what, condition, seconds=20):
    """Poll until the condition holds; its value is the result."""
    seconds *= SLOW
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)
