"""The list of checks. A check is a function that raises if the programs disagree and may return a detail to print."""

CHECKS = []


class Skip(Exception):
    """Raised by a check whose data is missing; the message says which."""


def check(title, cases=(None,), slow_cases=(), slow=False):
    """Registers a check, once for each case. `{}` in the title is replaced by the case.

    A tuple is named by its parts. `slow_cases` run only with --all; `slow` makes every case slow.
    """

    def register(function):
        for case in dict.fromkeys((*cases, *slow_cases)):
            name = " ".join(map(str, case)) if isinstance(case, tuple) else case
            CHECKS.append((title.format(name), function, case, slow or case not in cases))
        return function

    return register


def require(condition, message):
    """Raises `message` if `condition` does not hold."""
    if not condition:
        raise AssertionError(message)
