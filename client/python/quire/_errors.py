"""The exceptions of quire: one class for each code of libquire (quire_errc)."""


class Error(Exception):
    """What a call failed with. ``code`` is the name of libquire's code ("resource_exhausted")."""

    code: str = "internal"


class InvalidArgumentError(Error, ValueError):
    """An argument cannot be meant; the text names it and the rule."""

    code = "invalid_argument"


class UnsupportedVersionError(Error):
    """Daemon and library are of different releases; the text says which side to update."""

    code = "unsupported_version"


class MalformedFrameError(Error):
    """One side sent bytes that are no message; a defect."""

    code = "malformed_frame"


class FrameTooLargeError(Error):
    """A message would be larger than the protocol allows: ask for less at once."""

    code = "frame_too_large"


class UnexpectedDescriptorsError(Error):
    """A message brought descriptors that do not belong to it; a defect."""

    code = "unexpected_descriptors"


class InvalidLayoutError(Error, ValueError):
    """A layout breaks a rule; the text names the group and the rule."""

    code = "invalid_layout"


class UnknownLayoutError(Error):
    """The daemon does not know the layout any more: open the session again."""

    code = "unknown_layout"


class NotFoundError(Error, LookupError):
    """What was named is not there, or is over."""

    code = "not_found"


class PermissionDeniedError(Error, PermissionError):
    """This user may not do that (docs/security.md)."""

    code = "permission_denied"


class BusyError(Error):
    """Not now: a bound is reached, or somebody else is at it. Try again later."""

    code = "busy"


class ResourceExhaustedError(Error):
    """Memory, or another bounded resource, is not to be had. Compute without the cache."""

    code = "resource_exhausted"


class UnavailableError(Error, ConnectionError):
    """There is no daemon, or it went. Compute without the cache; ``Client.reconnect`` later."""

    code = "unavailable"


class StaleHandleError(Error):
    """The session or lease is of an earlier life of the daemon, or of an earlier weights epoch: a
    miss. Open the session again."""

    code = "stale_handle"


class ForkedError(Error):
    """The process is a fork of the one that connected. Connect a new Client in the child."""

    code = "forked"


class NoParentError(Error):
    """The span before this object is not there: fill it first."""

    code = "no_parent"


class DeadlineExceededError(Error, TimeoutError):
    """It took longer than the call's time-out."""

    code = "deadline_exceeded"


class ClosedError(Error, ValueError):
    """The client, session, hit or fill was closed, released or ended before."""

    code = "closed"


class CorruptError(Error):
    """Pages failed their checksum and were taken out of the store: a miss."""

    code = "corrupt"


class IoError(Error, OSError):
    """The system, or a device, refused."""

    code = "io_error"


class AlreadyExistsError(Error):
    """It is there already."""

    code = "already_exists"


class InternalError(Error):
    """A defect of Quire."""

    code = "internal"


class BufferInUseError(BusyError, BufferError):
    """Buffers of pages exist whose lease, fill or session was to end. Copy what must stay, then drop
    arrays, tensors and memoryviews of them. :class:`quire.Hit` and :class:`quire.Fill` say what
    happens meanwhile."""


# In the order of quire_errc, from QUIRE_INVALID_ARGUMENT = 1 on; the native part raises these.
BY_CODE = (
    InvalidArgumentError,
    UnsupportedVersionError,
    MalformedFrameError,
    FrameTooLargeError,
    UnexpectedDescriptorsError,
    InvalidLayoutError,
    UnknownLayoutError,
    NotFoundError,
    PermissionDeniedError,
    BusyError,
    ResourceExhaustedError,
    UnavailableError,
    StaleHandleError,
    ForkedError,
    NoParentError,
    DeadlineExceededError,
    ClosedError,
    CorruptError,
    IoError,
    AlreadyExistsError,
    InternalError,
)
