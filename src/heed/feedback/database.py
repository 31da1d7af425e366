"""Opening the database of a store: which one is meant, is it ours, is its schema up to date, and how it is locked.

SQLite is enough for hundreds of labelers if writes are serialised in the application: WAL, synchronous=FULL,
BEGIN IMMEDIATE and one writer at a time (`heed.feedback.group`); readers have connections of their own and wait for nobody.
(A deferred transaction that turns into a writer gets SQLITE_BUSY at once, whatever the timeout.)
PostgreSQL writes side by side; what counts the order of arrival takes an advisory lock, so that this is the order of
commits on both, and a watermark means the same for ever.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from heed.errors import RunError, UserError, nearest
from heed.feedback.group import Writers
from heed.feedback.schema import VERSION, VERSION_TABLE
from heed.feedback.schema_people import metadata  # from there, so that it holds every table

BUSY_SECONDS = 60  # how long another process may hold the database before we give up
ADVISORY_LOCK = 0x68656564  # any number, the same in every heed
WRITERS = 8  # connections that write to PostgreSQL at a time; everybody else waits for one of them


class Database:
    """`reading()` and `writing()` give transactions; a write is committed when its block ends and undone when it raises.

    A write that numbers answers or tasks must be `ordered`, which is what PostgreSQL pays for; SQLite orders all of them.
    """

    def __init__(self, url: URL):
        self.url = url
        self.name = url.database if _is_sqlite(url) else url.render_as_string(hide_password=True)
        make = _sqlite_engine if _is_sqlite(url) else _postgres_engine
        self.readers: Engine = make(url, write=False)
        self.writer: Engine = make(url, write=True)
        self._writers = Writers(self.writer, "" if _is_sqlite(url) else f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._explained(), self.readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, ordered: bool = True) -> Iterator[Connection]:
        grouped = ordered or _is_sqlite(self.url)
        with self._explained(), self._writers.transaction() if grouped else self.writer.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """As `writing`, with SQLite's foreign keys off: there a table is altered by copying and dropping it."""
        with self._explained(), self.writer.connect() as connection:
            driver = connection.connection.driver_connection
            sqlite = _is_sqlite(self.url)
            if sqlite:
                driver.execute("PRAGMA foreign_keys=OFF")  # means nothing once a transaction has begun
            try:
                with connection.begin():
                    if not sqlite:
                        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                    yield connection
                    if sqlite and (lost := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
                        raise RunError(f"the store {self.name}: a row of {lost[0]!r} points at nothing in {lost[2]!r}")
            finally:
                if sqlite:
                    driver.execute("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        self.readers.dispose()
        self.writer.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A full disk, a lost server or a damaged file is a message, not a traceback; anything else is our bug."""
        try:
            yield
        except PoolTimeout as error:
            raise RunError(f"the store {self.name} is too busy: no connection was free for {BUSY_SECONDS} s") from error
        except DatabaseError as error:
            if type(error) not in (OperationalError, DatabaseError):
                raise
            raise RunError(f"the store {self.name}: {' '.join(str(error.orig).split())}") from error
        except sqlite3.OperationalError as error:
            raise RunError(f"the store {self.name}: {error}") from error


def open_database(url_or_path: str | Path, *, create: bool = True) -> Database:
    """The database, created and migrated where needed.

    Raises UserError for an address that means nothing, a file that is not a store of heed (which stays untouched),
    and a store made by a newer heed.
    """
    url = _address(url_or_path)
    if _is_sqlite(url):
        _check_file(Path(url.database), create)
    database = Database(url)
    try:
        version = _version(database)
        if version is None and not create:
            raise UserError(f"{database.name} holds no feedback store of heed")
        if version != VERSION:
            with database.migrating() as connection:
                _upgrade(connection)
    except (DBAPIError, RunError) as error:
        database.close()
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise UserError(f"cannot open the store {database.name}: {' '.join(str(cause).split())}") from None
    except UserError:
        database.close()
        raise
    return database


@contextmanager
def only_server(database: Database) -> Iterator[None]:
    """Held by the one server of an SQLite file: its write lock is a lock within a process.

    Raises UserError where another server holds it.  PostgreSQL serves several.
    """
    if not _is_sqlite(database.url):
        yield
        return
    import fcntl

    path = Path(f"{database.name}.server")
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system when the process ends, however it ends
        except OSError:
            file.seek(0)
            raise UserError(f"{database.name} is already served by process {file.read().strip() or '?'}; "
                            "use that one, or keep the store in PostgreSQL for several servers") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _address(url_or_path: str | Path) -> URL:
    text = str(url_or_path)
    if "://" not in text:
        url = URL.create("sqlite", database=text)
    else:
        try:
            url = sa.make_url(text)
        except (ArgumentError, ValueError):
            raise UserError("the store's address is no URL; expected a path or postgresql://user@host/name") from None
    kind = url.get_backend_name()
    if kind in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise UserError(f"a store cannot be kept in {kind!r}{nearest(kind, ['sqlite', 'postgresql'])}")
    if url.database in (None, "", ":memory:"):
        raise UserError("a store needs a file to be kept in, for example store.db")
    return url


def _check_file(path: Path, create: bool) -> None:
    """Look before anything opens the file for writing."""
    if path.is_dir():
        raise UserError(f"the store {path} is a folder; expected a file in it, for example {path / 'store.db'}")
    if not path.exists():
        if not create:
            raise UserError(f"no store at {path}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder of the store {path}: {error.strerror}") from None
        return
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UserError(f"cannot read the store {path}: {error.strerror}") from None
    if head not in (b"", b"SQLite format 3\0"):  # an empty file is what SQLite itself leaves before the first write
        raise UserError(f"{path} is not an SQLite database; it was left as it is")


def _version(database: Database) -> str | None:
    """The schema's version; None where there is no schema yet."""
    with database.readers.begin() as connection:
        tables = set(sa.inspect(connection).get_table_names())
        if VERSION_TABLE not in tables:
            if _is_sqlite(database.url) and tables:
                raise UserError(f"{database.name} is a database of something else (it has a table "
                                f"{min(tables)!r}); it was left as it is")
            if clash := sorted(tables & metadata.tables.keys()):
                raise UserError(f"{database.name} already has a table {clash[0]!r} that is not heed's; "
                                "give the store a database or a schema of its own")
            return None
        version = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if version is not None and version > VERSION:
        raise UserError(f"{database.name} was made by a newer heed (schema {version}, this one knows {VERSION}): "
                        "upgrade heed to open it")
    return version


def _upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the caller's transaction: whoever comes second finds nothing left to do."""
    from alembic import command

    command.upgrade(_alembic(connection), "head")


def _alembic(connection: Connection):
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _sqlite_engine(url: URL, *, write: bool) -> Engine:
    pool = {"pool_size": 1, "max_overflow": 0} if write else {"pool_size": 4, "max_overflow": -1}
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **pool)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _):
        connection.isolation_level = None  # the driver's own BEGIN comes too late; we say it ourselves
        connection.execute("PRAGMA foreign_keys=ON")
        if write:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous=FULL")  # an acknowledged answer survives a power cut
        else:
            connection.execute("PRAGMA query_only=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL.  SQLite does not wait here while others open the same new file, whatever the timeout says."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _postgres_engine(url: URL, *, write: bool) -> Engine:
    try:
        if not write:
            return sa.create_engine(url, isolation_level="REPEATABLE READ", max_overflow=-1)
        return sa.create_engine(url, pool_size=WRITERS, max_overflow=0, pool_timeout=BUSY_SECONDS)
    except ModuleNotFoundError:
        raise UserError("a store in PostgreSQL needs the package psycopg: pip install 'psycopg[binary]'") from None
