"""The other end of `clients.Peer`: a program that stays loaded and answers jobs, because its imports take longer than most of them.

Must be imported before everything else: from then on, what other modules print goes to standard error.
"""
import json
import os
import sys
import traceback

REPLIES = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**commands):
    """Reads jobs from standard input, one JSON object {"command": …, arguments} per line, and writes one line for each:
    {"answer": …}, or {"error": …} if the command raises."""
    for line in sys.stdin:
        job = json.loads(line)
        try:
            reply = {"answer": commands[job.pop("command")](**job)}
        except Exception as error:  # a refusal is an answer too
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=REPLIES, flush=True)
