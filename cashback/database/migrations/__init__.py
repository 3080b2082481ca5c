"""Alembic migrations. They run inside one transaction of the caller's connection."""
