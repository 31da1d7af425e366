"""A PostgreSQL server for tests and measurements: started where its programs are installed, gone afterwards.

It listens on a socket in a folder of its own and on no network.  Run by root, the server runs as the user `postgres`,
because PostgreSQL refuses root.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = "/usr/lib/postgresql/*/bin"  # where Debian keeps them, outside of PATH


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version; None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = [folder for folder in Path("/").glob(PROGRAMS[1:]) if (folder / "initdb").exists()]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


@contextmanager
def private_server(*, durable: bool = False) -> Iterator[str]:
    """The address of an empty database, `postgresql://...`.  `durable`: commits wait for the disk, as where it counts.

    Raises FileNotFoundError where PostgreSQL is not installed.
    """
    folder = programs()
    if folder is None:
        raise FileNotFoundError("PostgreSQL is not installed")
    place = Path(tempfile.mkdtemp(prefix="heed-postgres-"))
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(place, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run([str(folder / program), *arguments], user=user, cwd=place, check=True, stdout=subprocess.DEVNULL)

    data = str(place / "data")
    options = ["-c listen_addresses=''", f"-c unix_socket_directories={place}", "-c max_connections=300",
               f"-c fsync={'on' if durable else 'off'}"]  # fmt: skip
    try:
        run("initdb", "-D", data, "-U", "heed", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "-D", data, "-w", "-l", str(place / "log"), "-o", " ".join(options), "start")
        try:
            yield f"postgresql://heed@/postgres?host={place}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def in_schema(url: str, schema: str) -> str:
    """The address of a schema of its own in the database at `url`, made where it is not there yet."""
    import sqlalchemy as sa

    address = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    engine.dispose()
    own = address.update_query_dict({"options": f"-csearch_path={schema}"}).set(drivername="postgresql")
    return own.render_as_string(hide_password=False)
