"""The desk: what an admin may do and until when. The one door for Discord, the command line and the calendar.

Every rule of who may is here, not in a view; every refusal is in the audit log. A file is one part of what may be done.
"""

from desk.actors import CLI, SCHEDULE, Actor, Source
from desk.books import Books
from desk.members import Members, read_code
from desk.proposals import EVERYONE, Proposals
from desk.reversals import Reversals
from desk.runs import Runs
from desk.schedule import Schedule
from desk.sign_ins import SignIns
from desk.terms import terms_of


class Desk(Books, Members, Proposals, Reversals, Runs, Schedule, SignIns):
    """Takes admins' requests, checks them, and hands approved batches to the runner."""


__all__ = ["CLI", "EVERYONE", "SCHEDULE", "Actor", "Desk", "Source", "read_code", "terms_of"]
