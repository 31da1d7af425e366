"""What migrations are written with: every name is spelt out, so that a later migration finds it on both databases."""

import sqlalchemy as sa
from alembic import op

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    """A column that may hold only these."""
    return check(table, column, f"{column} IN ({', '.join(map(repr, values))})")


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    """A condition on every row."""
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def key(table: str, column: str, target: str, **more) -> sa.Column:
    """A column that points at a row of another table."""
    foreign = sa.ForeignKey(target, name=op.f(f"fk_{table}_{column}"))
    return sa.Column(column, sa.Text, foreign, **{"nullable": False, **more})


def text(name: str, **more) -> sa.Column:
    """A text that is there."""
    return sa.Column(name, sa.Text, **{"nullable": False, **more})


def number(name: str, **more) -> sa.Column:
    """A number that is there."""
    return sa.Column(name, sa.Double, **{"nullable": False, **more})


def count(name: str, **more) -> sa.Column:
    """A whole number that is there."""
    return sa.Column(name, sa.Integer, **{"nullable": False, **more})


def flag(name: str) -> sa.Column:
    """0 or 1, 0 unless said otherwise."""
    return count(name, server_default="0")


def table(name: str, *parts, primary: tuple[str, ...]) -> None:
    """A new table."""
    op.create_table(name, *parts, sa.PrimaryKeyConstraint(*primary, name=op.f(f"pk_{name}")))


def unique(table: str, column: str, *others: str) -> sa.UniqueConstraint:
    """Columns of which no two rows hold the same."""
    return sa.UniqueConstraint(column, *others, name=op.f(f"uq_{table}_{column}"))


def index(name: str, column: str) -> None:
    """An index over one column."""
    op.create_index(op.f(f"ix_{name}_{column}"), name, [column])


def partial_index(name: str, table: str, columns: list, where: str, **more) -> None:
    """An index over the rows for which `where` holds."""
    where = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where, **more)


def alter(
    name: str,
    *,
    add: tuple[sa.Column, ...] = (),
    checks: tuple[sa.CheckConstraint, ...] = (),
    changed: tuple[str, ...] = (),
    primary: tuple[str, ...] = (),
) -> None:
    """Another form for a table that holds rows.  SQLite copies it, which needs all of its `checks`, the new and the old;
    PostgreSQL alters it: only those of `checks` named in `changed` are replaced, and those on new columns are made."""
    if op.get_bind().dialect.name == "sqlite":
        _copy(name, add, checks, primary)
        return
    for column in add:
        op.add_column(name, column)
    if primary:
        op.drop_constraint(op.f(f"pk_{name}"), name, type_="primary")
        op.create_primary_key(op.f(f"pk_{name}"), name, list(primary))
    for constraint in checks:
        if constraint.name in changed:
            op.drop_constraint(constraint.name, name, type_="check")
        if constraint.name in changed or constraint.name in {f"ck_{name}_{column.name}" for column in add}:
            op.create_check_constraint(constraint.name, name, constraint.sqltext)


def _copy(name: str, add: tuple[sa.Column, ...], checks: tuple[sa.CheckConstraint, ...], primary: tuple[str, ...]) -> None:
    old = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind(), resolve_fks=False)
    old.constraints -= {c for c in old.constraints if isinstance(c, sa.CheckConstraint)}  # some versions find them, some do not
    if primary:
        for column in primary:
            old.c[column].primary_key = True
        old.append_constraint(sa.PrimaryKeyConstraint(*(old.c[column] for column in primary), name=op.f(f"pk_{name}")))
    with op.batch_alter_table(name, copy_from=old, recreate="always", table_args=checks) as batch:
        for column in add:
            batch.add_column(column)
