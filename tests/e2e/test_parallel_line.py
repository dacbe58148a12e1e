"""The parallel line from the outside: tag, sign, send, batches, execution, receipts, figures."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon, Refused
from tests.e2e.signing import ETHER, accounts, newcomer, raw, raw_parallel
from tests.e2e.tokens import balance_of, deploy_code, deploy_token, encode_transfer

VAULT: Final = bytes.fromhex("5f5f5f5f6004335af100")
"""Pays 4 wei to whoever calls, if it has them: four zeros, 4, CALLER, GAS, CALL, STOP."""

COUNTER: Final = bytes.fromhex("5f546001015f5500")
"""Adds one to slot 0."""

NOTES_INPUT: Final = bytes.fromhex("5f355f553660015500")
"""Stores the first word of its input in slot 0 and the input's length in slot 1."""


def receipt(node: Daemon, tx_hash: str) -> dict[str, Any]:
    """The receipt of a mined transaction."""
    found: dict[str, Any] | None = node.call("eth_getTransactionReceipt", tx_hash)
    assert found is not None, node.call("parallel_status", {"hash": tx_hash})
    return found


def send(node: Daemon, *raws: str) -> list[str]:
    """Sends them; their hashes."""
    return [node.call("eth_sendRawTransaction", each) for each in raws]


def tagged(node: Daemon, index: int, tag: str, **request: Any) -> str:
    """A transaction of a funded account, made ready by the node, signed as 0x05 by the wallet module."""
    account = accounts()[index]
    unsigned = node.call("parallel_tagTransaction", {"from": account.address, **request}, tag)
    return raw_parallel(account, unsigned.get("tx", unsigned))


def batches(node: Daemon) -> list[dict[str, Any]]:
    """What is on offer."""
    offered: list[dict[str, Any]] = node.call("parallel_getBatches", {})["batches"]
    return offered


def execute(node: Daemon, **choices: Any) -> dict[str, Any]:
    """Executes what is on offer, serially too; both must come to the same state."""
    executed: dict[str, Any] = node.call("parallel_executeBatches", {"compare": True, **choices})
    assert executed["stateRoot"] == executed["serialStateRoot"]
    return executed


def test_a_transfer_and_a_call_go_the_whole_way(manual: Daemon) -> None:
    """Tagged, signed, offered, executed: receipts of type 5, the tag is kept on the chain and out of the call."""
    contract = deploy_token(manual, 9)
    to = newcomer("parallel").address
    data = encode_transfer(to, 7 * ETHER)
    hashes = send(
        manual,
        tagged(manual, 0, "PARALLEL", to=to, value=hex(ETHER)),
        tagged(manual, 9, "PARALLEL", to=contract, data=data),
    )

    assert sorted(tx for batch in batches(manual) for tx in batch["transactions"]) == sorted(hashes)
    before = manual.number("eth_blockNumber")
    executed = execute(manual)

    assert sorted(executed["hashes"]) == sorted(hashes)
    assert manual.number("eth_blockNumber") == before + 1
    for tx_hash in hashes:
        mined = receipt(manual, tx_hash)
        assert (mined["type"], mined["status"], mined["blockHash"]) == ("0x5", "0x1", executed["blockHash"])
        assert manual.call("parallel_status", {"hash": tx_hash})["status"] == "mined"
    found = manual.call("eth_getTransactionByHash", hashes[1])
    assert found["input"] == "0x" + b"PARALLEL".hex() + data[2:]
    assert balance_of(manual, contract, to) == 7 * ETHER
    assert manual.number("eth_getBalance", to, "latest") == ETHER


@pytest.mark.parametrize("tag", ["PARALLEL", "SEQUENTIAL"])
def test_the_code_sees_its_input_without_the_tag(manual: Daemon, tag: str) -> None:
    """First word and length of the input are what they are without a tag."""
    contract = deploy_code(manual, 9, NOTES_INPUT)
    word = bytes.fromhex("a9059cbb") + bytes(range(28)) + b"\x01\x02"
    [tx_hash] = send(manual, tagged(manual, 0, tag, to=contract, data="0x" + word.hex()))
    execute(manual)

    assert receipt(manual, tx_hash)["status"] == "0x1"
    assert manual.call("eth_getStorageAt", contract, "0x0", "latest") == "0x" + word[:32].hex()
    assert manual.number("eth_getStorageAt", contract, "0x1", "latest") == len(word)


def test_an_ordinary_transaction_may_begin_with_the_word(manual: Daemon) -> None:
    """In type 2 the same bytes are calldata like any other."""
    contract = deploy_code(manual, 9, NOTES_INPUT)
    data = b"PARALLEL" + bytes(32)
    send(manual, raw(accounts()[0], 0, to=contract, value=0, gas=100_000, data=data))
    execute(manual)

    assert manual.call("eth_getStorageAt", contract, "0x0", "latest") == "0x" + data[:32].hex()
    assert manual.number("eth_getStorageAt", contract, "0x1", "latest") == 40


def test_three_withdrawals_of_four_from_ten_are_never_one_batch(manual: Daemon) -> None:
    """Any two can be paid beside each other, not all three; two are paid in the end."""
    vault = deploy_code(manual, 9, VAULT, value=10)
    calls = [raw(accounts()[index], 0, to=vault, value=0, gas=100_000) for index in range(3)]
    hashes = send(manual, *calls)
    before = [manual.number("eth_getBalance", accounts()[index].address, "latest") for index in range(3)]

    offered = batches(manual)
    assert sorted(tx for batch in offered for tx in batch["transactions"]) == sorted(hashes)
    for batch in offered:
        assert not (batch["kind"] == "parallel" and set(hashes) <= set(batch["transactions"]))
    execute(manual)

    assert manual.number("eth_getBalance", vault, "latest") == 2
    paid = []
    for index, tx_hash in enumerate(hashes):
        mined = receipt(manual, tx_hash)
        fee = int(mined["gasUsed"], 16) * int(mined["effectiveGasPrice"], 16)
        after = manual.number("eth_getBalance", accounts()[index].address, "latest")
        paid.append(after - before[index] + fee)
    assert sorted(paid) == [0, 4, 4]


def test_a_lying_tag_changes_nothing_but_time(tmp_path: Path) -> None:
    """
    Twenty-seven calls that all add to one slot, tagged PARALLEL by their senders or not: the same count, and the calls
    are never offered beside each other.
    """
    counts = []
    for tag in ("PARALLEL", "SEQUENTIAL"):
        with daemons.running(tmp_path / tag, "--dev.mine", "manual") as node:
            counter = deploy_code(node, 9, COUNTER)
            hashes = []
            for _ in range(3):
                hashes += send(node, *[tagged(node, index, tag, to=counter) for index in range(9)])
            shared = [
                set(hashes) & set(batch["transactions"])
                for batch in batches(node)
                if batch["kind"] == "parallel"
            ]
            assert all(len(together) <= 1 for together in shared)
            while int(node.call("txpool_status")["pending"], 16):
                assert execute(node)["hashes"]
            assert all(receipt(node, tx_hash)["status"] == "0x1" for tx_hash in hashes)
            counts.append(node.number("eth_getStorageAt", counter, "0x0", "latest"))

    assert counts == [27, 27]


def test_a_tag_makes_nothing_parallelizable(manual: Daemon) -> None:
    """The verdict on a tagged call that conflicts names what it conflicts with; that on a free one is good."""
    counter = deploy_code(manual, 9, COUNTER)
    [first] = send(manual, tagged(manual, 0, "PARALLEL", to=counter))
    second = tagged(manual, 1, "PARALLEL", to=counter)
    free = tagged(manual, 2, "PARALLEL", to=newcomer("free").address, value="0x1")

    refused = manual.call("parallel_isParallelizable", second)
    assert (refused["parallelizable"], refused["tag"]) == (False, "PARALLEL")
    assert first in {reason.get("with") for reason in refused["reasons"]}
    assert manual.call("parallel_isParallelizable", free)["parallelizable"] is True
    assert manual.call("parallel_isParallelizable", first)["tag"] == "PARALLEL"


def test_a_dry_run_stores_nothing(manual: Daemon) -> None:
    """The figures come back, the block does not."""
    hashes = send(manual, *[raw(accounts()[index], 0) for index in range(5)])

    tried = execute(manual, dryRun=True)

    assert (tried["blockHash"], sorted(tried["hashes"])) == (None, sorted(hashes))
    assert (manual.number("eth_blockNumber"), manual.call("txpool_status")["pending"]) == (0, "0x5")
    done = execute(manual)
    assert (done["stateRoot"] != "0x" + "00" * 32, manual.number("eth_blockNumber")) == (True, 1)


def test_figures_move(manual: Daemon) -> None:
    """Metrics, statistics and health follow what happens."""
    senders = range(8)
    metrics = ("pending", "queued", "valid", "parallelizable", "batchcount", "batchsize", "slots", "local")

    def read() -> dict[str, int]:
        manual.call("parallel_getBatches", {})
        return {name: int(manual.metric(f"parallel_txpool_{name}")) for name in metrics}

    assert read() == dict.fromkeys(metrics, 0) | {"batchsize": 64}
    to = [newcomer(f"figure {index}").address for index in senders]
    hashes = send(manual, *[raw(accounts()[index], 0, to=to[index]) for index in senders])
    send(manual, raw(accounts()[9], 1))
    full = read()
    assert (full["pending"], full["queued"], full["valid"], full["slots"]) == (8, 1, 9, 9)
    assert (full["parallelizable"], full["batchcount"], full["local"]) == (8, 1, 9)
    with pytest.raises(Refused, match="already known"):
        send(manual, raw(accounts()[9], 1))
    with pytest.raises(Refused, match="insufficient funds"):
        send(manual, raw(newcomer("poor"), 0))
    assert (manual.metric("parallel_txpool_known"), manual.metric("parallel_txpool_invalid")) == (1, 1)
    assert manual.call("parallel_setBatchSize", "0x80") is True
    assert manual.metric("parallel_txpool_batchsize") == 128

    executed = execute(manual)

    assert sorted(executed["hashes"]) == sorted(hashes)
    assert (manual.metric("parallel_txpool_pending"), manual.metric("parallel_txpool_queued")) == (0, 1)
    statistics = manual.call("parallel_batchStatistics")
    assert (statistics["totalProcessed"], statistics["successfullyBatched"]) == ("0x8", "0x8")
    assert statistics["lastExecution"]["blockHash"] == executed["blockHash"]
    health = json.loads(manual.page("/healthz"))
    assert (health["healthy"], health["head"], health["pending"], health["queued"]) == (True, 1, 0, 1)
    geth_page = manual.page("/debug/metrics/prometheus")
    assert geth_page.count("# TYPE parallel_txpool_") == 20
    assert "parallel_txpool_valid 9\n" in geth_page


def test_sequencers_pull_named_batches(manual: Daemon) -> None:
    """Batches by id, executed one after the other; an id of the past is unknown."""
    counter = deploy_code(manual, 9, COUNTER)
    to = [newcomer(f"pulled {index}").address for index in range(4)]
    free = send(manual, *[raw(accounts()[index], 0, to=to[index]) for index in range(4)])
    calls = [raw(accounts()[index], 0, to=counter, value=0, gas=100_000) for index in range(4, 7)]
    contended = send(manual, *calls)
    [parallel] = [batch for batch in batches(manual) if set(free) <= set(batch["transactions"])]
    assert parallel["kind"] == "parallel"

    first = execute(manual, batchIds=[parallel["batchId"]])

    assert sorted(first["hashes"]) == sorted(parallel["transactions"])
    with pytest.raises(Refused) as caught:
        execute(manual, batchIds=[parallel["batchId"]])
    assert (caught.value.code, caught.value.message) == (3004, f"unknown batch {parallel['batchId']}")
    while int(manual.call("txpool_status")["pending"], 16):
        execute(manual)
    assert all(receipt(manual, tx_hash)["status"] == "0x1" for tx_hash in contended)
    assert manual.number("eth_getStorageAt", counter, "0x0", "latest") == 3
