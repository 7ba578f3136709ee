"""Services of `guarded_child` that do what decoders of strangers' files may do."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.guarded_child import Answer


class Bad:
    """Answers each question by its name."""

    def __init__(self, word: str) -> None:
        if word == "refused":
            raise InputError("not a file of this kind")
        self.word = word

    def answer(self, *question: Any) -> Answer:
        what, *rest = question
        if what == "hang":
            while True:
                pass
        elif what == "sleep":
            time.sleep(1000)
        elif what == "signal":
            os.kill(os.getpid(), signal.Signals[rest[0]])
        elif what == "exit":
            os._exit(3)
        elif what == "memory":
            return len(np.ones(2**32, np.uint8)), None
        elif what == "print":
            os.write(1, b"noise of a library")
        elif what == "missing":
            raise MissingDependency("blosc", "this file", "pip install blosc")
        elif what == "error":
            raise KeyError("a", "b\nc")
        elif what == "events":
            return None, np.zeros(rest[0], EVENT_DTYPE)
        elif what == "counted":
            return self.word, np.arange(rest[0], dtype=rest[1]).reshape(rest[2])
        return {"pid": os.getpid(), "word": self.word}, None
