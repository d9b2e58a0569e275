"""Quire: the KV cache of long-context models, kept outside the engine.

>>> with quire.Client() as client, client.open_session(layout, namespace="my-model") as session:
...     session.append_tokens(prompt)
...     with session.match() as hit:
...         for page in hit.load():
...             ...  # np.frombuffer(page, np.uint8), read in place

docs/python.md has the tour; the docstrings have shapes, units and errors.
"""

from ._errors import *  # noqa: F403
from ._errors import BY_CODE as _BY_CODE
from ._errors import BufferInUseError, Error
from ._layout import Group
from ._quire import (
    CheckpointPolicy,
    Client,
    CommitResult,
    Completion,
    Fill,
    FillPage,
    Hit,
    Layout,
    Located,
    Page,
    Pages,
    PlannedPage,
    Position,
    Positions,
    Progress,
    Run,
    Runs,
    Segment,
    Session,
    Ticket,
    Usage,
    __version__,
)

__all__ = [
    "BufferInUseError",
    "CheckpointPolicy",
    "Client",
    "CommitResult",
    "Completion",
    "Error",
    "Fill",
    "FillPage",
    "Group",
    "Hit",
    "Layout",
    "Located",
    "Page",
    "Pages",
    "PlannedPage",
    "Position",
    "Positions",
    "Progress",
    "Run",
    "Runs",
    "Segment",
    "Session",
    "Ticket",
    "Usage",
    "__version__",
    *(error.__name__ for error in _BY_CODE),
]
