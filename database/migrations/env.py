"""Alembic's entry: migrates on the connection that `database/schema.py` hands over."""

from alembic import context

from database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transaction_per_migration=False,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
