"""Small files to read, and the folder of real data where there is one."""

import gzip
import json
import lzma
import os
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path):
    """write("pairs.jsonl.gz", rows) -> its path as a string; rows may also be raw text or bytes."""

    def written(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str | bytes):
            content = "".join(json.dumps(row) + "\n" for row in content)
        data = content.encode() if isinstance(content, str) else content
        packing = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, lambda b: b)
        path.write_bytes(packing(data))
        return str(path)

    return written


@pytest.fixture(scope="session")
def real_data():
    """The folder of public datasets, beside the repository or where HEED_DATA says."""
    folder = Path(os.environ.get("HEED_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HEED_DATA")
    return folder
