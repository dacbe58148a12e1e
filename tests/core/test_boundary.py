"""How the native boundary behaves: errors, panics, the GIL, versions."""

import subprocess
import sys
import threading
import time

import pytest

import parallelpool
from parallelpool import _core

ERROR_CLASSES = {
    "genesis": _core.GenesisError,
    "storage": _core.StorageFailure,
    "store_refused": _core.StoreRefused,
    "state": _core.StateUnavailable,
    "block_refused": _core.BlockRefused,
    "invalid_argument": _core.CoreInvalidArgument,
    "aborted": _core.CoreAborted,
    "divergence": _core.CoreDivergence,
    "internal": _core.CoreInternalError,
}


def test_every_error_kind_has_a_python_class() -> None:
    """
    The engine's list of kinds and the classes of the boundary are the same set.
    """
    assert set(_core.error_kinds()) == set(ERROR_CLASSES)
    assert all(issubclass(kind, _core.CoreError) for kind in ERROR_CLASSES.values())


def test_package_and_engine_have_one_version() -> None:
    """
    The import itself compares them; here both are seen.
    """
    assert parallelpool.__version__ == _core.__version__


def test_a_panic_in_the_engine_is_an_ordinary_exception() -> None:
    """
    A caught panic carries its message and its kind, and the engine works on afterwards.
    """
    with pytest.raises(_core.CoreInternalError, match="engine panicked: the fuse is out") as caught:
        _core._panic("the fuse is out")

    assert caught.value.kind == "internal"
    assert isinstance(caught.value, Exception)
    assert _core.keccak256(b"").hex().startswith("c5d24601")


def test_python_goes_on_during_a_long_engine_call() -> None:
    """
    The seam releases the GIL: another thread counts while all workers of the engine are busy.
    """
    workers = _core.Workers(2)
    stop = threading.Event()
    counted = 0

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    before = counted
    _core._spin(workers, 300)
    during = counted - before
    stop.set()
    counter.join()

    assert during >= 10


def test_an_argument_of_the_wrong_length_is_refused_by_name() -> None:
    """
    The boundary checks lengths and says what it wanted.
    """
    with pytest.raises(_core.CoreError) as caught:
        _core.Chain.open(b"{", None, _core.Workers(1))

    assert caught.value.kind == "genesis"


def test_an_engine_of_another_version_is_refused_with_both_numbers() -> None:
    """
    A stale build must not run: the import fails and says what to do.
    """
    program = (
        "import sys, types; fake = types.ModuleType('parallelpool._core'); fake.__version__ = '9.9.9';"
        "sys.modules['parallelpool._core'] = fake; import parallelpool"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert ended.returncode != 0
    assert (
        f"parallelpool {parallelpool.__version__} needs an engine of the same version, found 9.9.9"
        in ended.stderr
    )
