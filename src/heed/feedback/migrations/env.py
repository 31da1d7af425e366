"""Run by Alembic.  `heed.feedback.database` hands over its connection, inside the transaction that it holds."""

from alembic import context

from heed.feedback.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
