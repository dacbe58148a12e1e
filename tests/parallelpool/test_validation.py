"""Every refusal that needs no other transaction: its condition, its words, its place in the order."""

from dataclasses import dataclass, field

import pytest

from parallelpool.transaction import Transaction, keccak256
from parallelpool.validation import HeadRules, check_alone
from tests.factories import (
    ETHER,
    FakeChain,
    Key,
    Rlp,
    authorization,
    decode,
    legacy,
    raw_legacy,
    rlp,
    set_code,
    typed,
)
from tests.pool_rig import PoolRig

A, B = Key(1), Key(2)


@dataclass(frozen=True)
class Case:
    """A transaction on a fork, and what it is refused with."""

    name: str
    tx: Transaction
    text: str | None
    network: str = "Osaka"
    limits: dict[str, int] = field(default_factory=dict)
    gas_limit: int = 60_000_000


def blob(key: Key, nonce: int) -> Transaction:
    """A blob transaction as it stands in a block."""
    fields: list[Rlp] = [1337, nonce, 1, 1, 100_000, bytes(20), 0, b"", [], 1, [b"\x01" + bytes(31)]]
    unsigned = b"\x03" + rlp(fields)
    return decode([b"\x03" + rlp([*fields, *key.sign(keccak256(unsigned))])])[0]


def with_bad_signature() -> Transaction:
    """r and s are zero."""
    return decode([rlp([0, 1, 100_000, bytes(20), 0, b"", 1337 * 2 + 35, 0, 0])])[0]


def creation(size: int) -> Transaction:
    """A creation with so many bytes of init code."""
    return legacy(A, 0, to=b"", gas=16_000_000, data=b"\x01" * size)


NO_TYPE = "transaction type not supported: tx type 3 not supported by this pool"

CASES = [
    Case("plain transfer", legacy(A, 0), None),
    Case("dynamic fee", typed(A, 0), None),
    Case("access list type", typed(A, 0, tx_type=1), None),
    Case("set code", set_code(A, 0, [B]), None),
    Case("parallel type", typed(A, 0, tx_type=5), None),
    Case("parallel creation with a tag", typed(A, 0, tx_type=5, to=b"", data=b"PARALLEL\x00"), None),
    Case("blob", blob(A, 0), NO_TYPE),
    Case(
        "too large for the pool's setting",
        legacy(A, 0, data=bytes(2_000)),
        f"oversized data: transaction size {legacy(A, 0, data=bytes(2_000)).size}, limit 1024",
        limits={"maxtxsize": 1_024},
    ),
    Case(
        "typed before Berlin",
        typed(A, 0, tx_type=1),
        "transaction type not supported: type 1 rejected, pool not yet in Berlin",
        "Istanbul",
    ),
    Case(
        "dynamic fee before Berlin",
        typed(A, 0),
        "transaction type not supported: type 2 rejected, pool not yet in Berlin",
        "Istanbul",
    ),
    Case(
        "dynamic fee before London",
        typed(A, 0),
        "transaction type not supported: type 2 rejected, pool not yet in London",
        "Berlin",
    ),
    Case(
        "parallel before London",
        typed(A, 0, tx_type=5),
        "transaction type not supported: type 5 rejected, pool not yet in London",
        "Berlin",
    ),
    Case(
        "set code before Prague",
        set_code(A, 0, [B]),
        "transaction type not supported: type 4 rejected, pool not yet in Prague",
        "Cancun",
    ),
    Case(
        "init code above the limit",
        creation(49_153),
        "max initcode size exceeded: code size 49153 limit 49152",
    ),
    Case(
        "init code at the limit",
        creation(49_152),
        None,
    ),
    Case(
        "init code before Shanghai",
        creation(49_153),
        None,
        "Paris",
    ),
    Case(
        "gas above a transaction's cap",
        legacy(A, 0, gas=16_777_217),
        "transaction gas limit too high (cap: 16777216, tx: 16777217)",
    ),
    Case("gas at a transaction's cap", legacy(A, 0, gas=16_777_216), None),
    Case("gas above the cap before Osaka", legacy(A, 0, gas=16_777_217), None, "Prague"),
    Case(
        "gas above the block's",
        legacy(A, 0, gas=1_000_001),
        "exceeds block gas limit",
        gas_limit=1_000_000,
    ),
    Case(
        "tip above fee cap",
        typed(A, 0, tip=2, cap=1),
        "max priority fee per gas higher than max fee per gas",
    ),
    Case(
        "another chain's",
        decode([raw_legacy(A, 0, chain_id=5)])[0],
        "invalid sender: invalid chain id for signer: have 5 want 1337",
    ),
    Case("bad signature", with_bad_signature(), "invalid sender: invalid transaction v, r, s values"),
    Case("greatest nonce", legacy(A, 2**64 - 1), "nonce has max value"),
    Case("greatest but one", legacy(A, 2**64 - 2), None),
    Case(
        "intrinsic gas of a transfer",
        legacy(A, 0, gas=20_999),
        "intrinsic gas too low: gas 20999, minimum needed 21000",
    ),
    Case(
        "intrinsic gas of a creation",
        legacy(A, 0, gas=53_000, to=b"", data=b"\x01"),
        "intrinsic gas too low: gas 53000, minimum needed 53018",
    ),
    Case(
        "a tag costs what its bytes cost",
        typed(A, 0, tx_type=5, gas=21_127, data=b"PARALLEL"),
        "intrinsic gas too low: gas 21127, minimum needed 21128",
    ),
    Case(
        "floor of calldata",
        legacy(A, 0, gas=21_100, data=b"\x01"),
        None,
    ),
    Case(
        "gas below the floor of calldata",
        legacy(A, 0, gas=25_000, data=b"\x01" * 200),
        "insufficient gas for floor data gas cost: gas 25000, minimum needed 29000",
    ),
    Case("no floor before Prague", legacy(A, 0, gas=25_000, data=b"\x01" * 200), None, "Cancun"),
    Case(
        "more than a transaction may use from Amsterdam on",
        legacy(A, 0, gas=50_000_000, data=b"\x01" * 300_000),
        "insufficient gas for floor data gas cost: intrinsic cost 4821000, floor: 19221000",
        "Amsterdam",
        limits={"maxtxsize": 1_024 * 1_024},
    ),
    Case(
        "tip below the minimum",
        legacy(A, 0, price=9),
        "transaction gas price below minimum: gas tip cap 9, minimum needed 10",
        limits={"pricelimit": 10},
    ),
    Case(
        "no authorizations",
        typed(A, 0, tx_type=4),
        "set code tx must have at least one authorization tuple",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refusal(case: Case) -> None:
    """The pool answers with geth's text, counts it as invalid, and holds nothing of it; or it accepts."""
    rig = PoolRig(FakeChain(network=case.network, gas_limit=case.gas_limit), **case.limits)
    rig.chain.fund(A, balance=10**30)
    (answer,) = rig.try_add(case.tx)

    assert (None if answer is None else str(answer)) == case.text
    assert rig.meters.invalid == (case.text is not None)
    assert rig.meters.valid == (case.text is None)


def broken_in_every_way() -> list[tuple[str, Transaction]]:
    """
    Transactions that break one rule less each time, with the rule that is the first then.

    The order is that of the checks of one fork, so each line proves that its rule stands before all later ones.
    """
    large = b"\x01" * 60_000
    return [
        ("oversized data", legacy(A, 2**64 - 1, price=1, gas=60_000_001, to=b"", data=b"\x01" * 131_000)),
        ("max initcode size exceeded", legacy(A, 2**64 - 1, gas=60_000_001, to=b"", data=large)),
        ("transaction gas limit too high", typed(A, 2**64 - 1, gas=60_000_001, tip=2, cap=1)),
        ("exceeds block gas limit", typed(A, 2**64 - 1, gas=10_000_001, tip=2, cap=1)),
        ("max priority fee per gas higher", typed(A, 2**64 - 1, gas=100, tip=2, cap=1)),
        ("nonce has max value", typed(A, 2**64 - 1, gas=100)),
        ("intrinsic gas too low", typed(A, 0, tx_type=4, gas=100)),
        ("insufficient gas for floor", typed(A, 0, tx_type=4, gas=30_000, data=b"\x01" * 300)),
        ("transaction gas price below minimum", typed(A, 0, tx_type=4)),
        ("set code tx must have", typed(A, 0, tx_type=4, tip=20, cap=20)),
    ]


@pytest.mark.parametrize(
    ("first", "tx"), broken_in_every_way(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_first_broken_rule_decides(first: str, tx: Transaction) -> None:
    """geth's order of checks, proven pair by pair on transactions that break several rules."""
    chain = FakeChain(gas_limit=10_000_000)
    refusal = check_alone(tx, HeadRules.of(chain), min_tip=10, max_size=100_000)  # type: ignore[arg-type]  # plain int

    assert refusal is not None
    assert str(refusal).startswith(first)


def test_account_rules_in_order() -> None:
    """Nonce before funds; alone before together with what is pending; waiting ones do not count."""
    rig = PoolRig()
    rig.chain.fund(A, balance=300_300)
    rig.account(A).nonce = 5
    rig.reset()
    rig.add(legacy(A, 5), legacy(A, 8), legacy(A, 9), legacy(A, 10))
    texts = [
        rig.refusal(legacy(A, 4, price=100)),
        rig.refusal(legacy(A, 6, price=4)),
        rig.refusal(legacy(A, 6, price=3, value=0)),
        rig.refusal(legacy(A, 5, price=3, value=400)),
    ]
    funds = "insufficient funds for gas * price + value"

    assert texts == [
        "nonce too low: next nonce 5, tx nonce 4",
        f"{funds}: balance 300300, tx cost 400100, overshot 99800",
        f"{funds}: balance 300300, queued cost 100100, tx cost 300000, overshot 99800",
        f"{funds}: balance 300300, tx cost 300400, overshot 100",
    ]


def test_a_bump_is_paid_on_top_of_what_is_pending() -> None:
    """The difference to the replaced one counts, in geth's words for it."""
    rig = PoolRig()
    rig.chain.fund(A, balance=250_000)
    rig.add(legacy(A, 0), legacy(A, 1))

    assert rig.refusal(legacy(A, 0, price=2)) == (
        "insufficient funds for gas * price + value: balance 250000, "
        "queued cost 200200, tx bumped 100000, overshot 50200"
    )


def test_unrecoverable_authorizations_are_ignored() -> None:
    """A tuple whose signature gives nobody restricts nobody, and one authority counts once."""
    rig = PoolRig()
    rig.chain.fund(A, B, balance=ETHER)
    broken: Rlp = [1337, bytes(20), 0, 0, 0, 0]
    tx = typed(
        A, 0, tx_type=4, gas=250_000, authorizations=[broken, authorization(B), authorization(B, nonce=1)]
    )
    rig.add(tx)
    (pooled,) = rig.pool.pooled()

    assert pooled.authorities == (B.address,)
