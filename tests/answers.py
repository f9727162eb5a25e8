"""A process for the tests of the benchmarks' worker; here, so that starting it does not import torch."""

import os
import time


def answer(connection):
    connection.send("ready")
    while True:
        question = connection.recv()
        if question == "sleep":
            time.sleep(60)
        if question == "die":
            os.kill(os.getpid(), 9)
        if question == "crash":
            os._exit(3)
        connection.send(ValueError("no such thing") if question == "raise" else question)
