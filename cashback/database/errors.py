"""Translates the driver's errors for people. Code above this package never sees a driver's error."""

import sqlite3
from typing import Final

from sqlalchemy import exc
from sqlalchemy.engine import URL

from cashback.database.dialect import Location, name_of, sqlstate
from cashback.domain.errors import CashbackError, DatabaseUnavailableError

DRIVER_ERRORS: Final = (exc.DBAPIError, sqlite3.Error)


class RowRefusedError(CashbackError):
    """A constraint of the ledger refused a row; the transaction was rolled back."""


class LedgerMovedError(RowRefusedError):
    """This ledger was moved to another database; name that one."""


MOVED: Final = "this ledger was moved to "
"""How the refusals of a moved ledger's triggers begin."""

_READ_ONLY: Final = "cannot be written: the server is a standby or set to read only; name the primary"

_ADVICE: Final = (
    ("not a database", "is not an SQLite database; name another file"),
    ("malformed", "is damaged; restore the last backup"),
    ("readonly", "cannot be written; give this user the right to write it and its folder"),
    ("disk is full", "cannot grow, the disk is full; free some space, then resume"),
    ("unable to open", "cannot be opened; check that its folder exists and may be written"),
    ("locked", "is in use by another program; try again in a moment"),
    ("hot standby", _READ_ONLY),
    ("during recovery", _READ_ONLY),
    ("disk I/O error", "cannot be read or written (disk I/O error); check the disk, then resume"),
)


_TOO_MANY: Final = (
    "has too many connections; end a program that uses it, raise max_connections, or put a pooler such as PgBouncer"
    " before it"
)
_NO_SSL: Final = "refuses connections without SSL; add ?sslmode=require to the address"
_ABSENT: Final = "does not exist on its server; create it first, or correct the address"
_REFUSED: Final = "refuses this user or password; check both"

_ADVICE_BY_STATE: Final = {
    "40": "is in use by another program; try again in a moment",
    "55P03": "is in use by another program; try again in a moment",
    "53100": "cannot grow, the disk is full; free some space, then resume",
    "53300": _TOO_MANY,
    "25006": _READ_ONLY,
    "25P04": "ended a transaction; raise transaction_timeout for this user or database, then resume",
    "3F000": "has no schema that this user may use; correct its search_path, or GRANT ALL ON SCHEMA to the user",
    "42501": "does not allow this user to do that; grant the right, or name the database's owner",
    "28P01": _REFUSED,
    "3D000": _ABSENT,
    "57014": "cancelled a statement; raise statement_timeout for this user or database, then resume",
    "57": "was stopped by its server; start the server, then resume",
}
"""By the whole SQLSTATE, or by the class that it begins with."""

_CANNOT_CONNECT: Final = (
    ("permission denied for database", "does not let this user connect; GRANT CONNECT ON DATABASE to the user"),
    ("not currently accepting", "takes no connections; ALTER DATABASE name ALLOW_CONNECTIONS true"),
    ("not permitted to log in", "does not let this user log in; ALTER ROLE name LOGIN"),
    ("resolve host", "is on a server whose name is not known; correct the address, or check the network"),
    ("definition of service", "is named by a service that is not defined; correct the address, or pg_service.conf"),
    ("session is", "is not the kind of server that target_session_attrs asks for; correct the address"),
    ("hot standby mode", "is not the kind of server that target_session_attrs asks for; correct the address"),
    ("too many clients", _TOO_MANY),
    ("too many connections", _TOO_MANY),
    ("connection slots are reserved", _TOO_MANY),
    ("no more connections allowed", _TOO_MANY),
    ("query_wait_timeout", _TOO_MANY),
    (
        "does not support SSL",
        "has no SSL, which the address asks for; switch it on there, or set sslmode=prefer",
    ),
    ("no encryption", _NO_SSL),
    ("SSL off", _NO_SSL),
    ("SSL required", _NO_SSL),
    ("certificate", "cannot be trusted: its SSL certificate was not accepted; check sslrootcert and the server's name"),
    ("unsupported startup parameter", "is behind a pooler that refuses a parameter of the address; remove `options`"),
    ("no pg_hba.conf entry", "does not admit this host, user or database; add a line to its pg_hba.conf"),
    ("password authentication failed", _REFUSED),
    ("authentication failed", _REFUSED),
    ("no such user", _REFUSED),
    ("no password supplied", "asks for a password; put it into the address, or into ~/.pgpass"),
    ("no such database", _ABSENT),
    ("bouncer config error", "is not a database that the pooler knows; add it there, or correct the address"),
    ("role", "refuses the connection: the user does not exist; create it with createuser, or correct the address"),
    ("does not exist", _ABSENT),
    ("invalid", "has an address that the driver does not take ({text}); correct it"),
    ("starting up", "is starting; try again in a moment"),
    ("connection", "cannot be reached; check that the server runs and that the address is right"),
)


def translated(error: Exception, location: Location) -> CashbackError:
    """Translate a driver's error into one line: what is wrong with which database, and what to do."""
    original = getattr(error, "orig", None) or error
    text = getattr(getattr(original, "diag", None), "message_primary", None) or str(original)
    text = " ".join(text.split())
    if isinstance(error, (exc.IntegrityError, exc.DataError)):
        if text.startswith(MOVED):
            return LedgerMovedError(f"{text[0].upper()}{text[1:]}.")
        return RowRefusedError(f"The ledger refused a row: {text}.")
    name, state = name_of(location), sqlstate(error) or ""
    advice = _ADVICE_BY_STATE.get(state) or _ADVICE_BY_STATE.get(state[:2])
    signs = _CANNOT_CONNECT if isinstance(location, URL) and not state else _ADVICE
    advice = advice or next((advice for sign, advice in signs if sign in text), None)
    advice = advice and advice.format(text=text)
    return DatabaseUnavailableError(f"Database {name} {advice}." if advice else f"Database {name}: {text}.")
