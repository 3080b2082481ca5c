"""Alembic's entry: migrates on the connection that `cashback/database/schema.py` hands over."""

from alembic import context

from cashback.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transaction_per_migration=False,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
