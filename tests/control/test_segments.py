"""Segments: kept without pickles, the same bytes for the same behaviour; a pool that forgets the oldest."""

import numpy as np
import pytest
from corridor import Corridor, segments

from heed.control.rollout import Rollout, cut
from heed.control.segments import Recent, from_file, to_bytes
from heed.errors import RunError


def test_what_is_written_is_read(tmp_path):
    some = segments(np.arange(12.0).reshape(3, 4))
    path = tmp_path / "x.npz"
    path.write_bytes(to_bytes(some))
    again = from_file(path)
    assert again.ids == ["s0", "s1", "s2"] and again.env == "Corridor" and to_bytes(again) == path.read_bytes()
    np.testing.assert_array_equal(again[1].rewards, [4, 5, 6, 7])
    assert again[1].true_return == 22 and len(again[1]) == 4


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" + b[3:]])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.npz"
    path.write_bytes(damage(to_bytes(segments(np.ones((2, 3))))))
    with pytest.raises(RunError, match=r"x\.npz holds no segments"):
        from_file(path)


def test_a_pickle_is_not_read(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, ids=np.array([{}], dtype=object))
    with pytest.raises(RunError):
        from_file(path)


def test_the_pool_forgets_the_oldest_and_survives_a_checkpoint():
    pool = Recent(4)
    pool.add(segments(np.ones((3, 2))))
    pool.add(segments(np.full((3, 2), 2.0)))
    assert pool.segments.rewards[:, 0].tolist() == [1, 2, 2, 2]
    other = Recent(4)
    other.restore(pool.state())
    assert other.segments.ids == pool.segments.ids
    np.testing.assert_array_equal(other.segments.obs, pool.segments.obs)


def test_no_segment_crosses_the_end_of_an_episode():
    ends = np.zeros((2, 13), bool)
    ends[0, 5] = True  # row 0: episodes of 6 and then 7 steps
    rewards = np.arange(26.0).reshape(2, 13)
    flat = rewards[..., None].astype(np.float32)
    found = cut(Rollout(flat, flat, flat, flat.astype(float), rewards, ends, np.zeros_like(ends), {}, flat[:, 0]),
                Corridor(2, 0), 4, "r")
    assert found.rewards[:, 0].tolist() == [0, 6, 13, 17, 21] and found.rewards[1].tolist() == [6, 7, 8, 9]
    assert found.ids[1] == "r-0-6"
