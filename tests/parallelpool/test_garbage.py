"""The collector of cyclic garbage looks at what has settled once in a long while."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from parallelpool import garbage
from parallelpool.garbage import GarbageWatch


class Ring:
    """A cycle of one object."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """Leaves the collector of this process as it was; none but asked-for collections run meanwhile."""
    thresholds = gc.get_threshold()
    gc.disable()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def young_collections(count: int = garbage.YOUNG_COLLECTIONS) -> None:
    """As allocations bring them about."""
    for _ in range(count):
        gc.collect(0)


def test_what_has_settled_is_set_aside() -> None:
    """A thousand live objects: after some young collections, not before."""
    watch = GarbageWatch()
    watch.begin()
    before = gc.get_freeze_count()
    kept = [[number] for number in range(1_000)]
    young_collections(garbage.YOUNG_COLLECTIONS - 1)
    watch.settle()
    assert gc.get_freeze_count() <= before

    young_collections(1)
    watch.settle()

    assert gc.get_freeze_count() >= before + len(kept)


def test_a_cycle_that_died_young_is_not_set_aside() -> None:
    """It is collected when the others settle."""
    watch = GarbageWatch()
    watch.begin()
    ring = Ring()
    seen = weakref.ref(ring)
    young_collections()
    assert seen() is not None
    del ring

    watch.settle()

    assert seen() is None


def test_a_cycle_that_died_old_goes_with_the_whole_collection() -> None:
    """Until then its memory is held."""
    watch = GarbageWatch()
    watch.begin()
    ring = Ring()
    seen = weakref.ref(ring)
    young_collections()
    watch.settle()
    del ring
    for _ in range(garbage.SETTLEMENTS - 1):
        young_collections()
        watch.settle()
    assert seen() is not None

    young_collections()
    watch.settle()

    assert seen() is None
