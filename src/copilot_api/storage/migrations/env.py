"""What Alembic runs: the migrations, in the transaction that `copilot_api.storage.migrate` opened for them."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
