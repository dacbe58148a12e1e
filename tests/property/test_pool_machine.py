"""
The pool against a naive one, step by step, over random lives.

Limits are so small that every one of them is met all the time. After each step every answer, the whole content, all
meters and all invariants are compared.
"""

from dataclasses import asdict
from functools import cache

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from parallelpool.transaction import Transaction, keccak256
from parallelpool.validation import EMPTY_CODE_HASH
from tests.factories import FakeChain, Key, legacy, limits, set_code, typed
from tests.oracle import NaivePool
from tests.pool_rig import PoolRig

STEPS = 50
"""Of one life, at most."""

EXAMPLES = 600
"""Lives: 30,000 steps in `make test`, more with the thorough profile."""

SENDERS = tuple(Key(secret) for secret in range(1, 6))
DELEGATION = keccak256(b"delegated")
GAS = (21_000, 60_000, 100_000)
BALANCES = (0, 150_000, 400_000, 2_000_000, 10**9)

senders = st.sampled_from(SENDERS)
prices = st.integers(1, 12)
nonces = st.one_of(st.integers(0, 3), st.integers(0, 9))


@cache
def plain(key: Key, nonce: int, price: int, gas: int) -> Transaction:
    """A legacy transaction."""
    return legacy(key, nonce, price=price, gas=gas, value=0)


@cache
def dynamic(key: Key, nonce: int, tip: int, more: int, gas: int, tx_type: int) -> Transaction:
    """A transaction of type 2 or the parallel type."""
    return typed(key, nonce, tip=tip, cap=tip + more, gas=gas, value=0, tx_type=tx_type)


@cache
def delegating(key: Key, nonce: int, price: int, authorities: tuple[Key, ...]) -> Transaction:
    """A set-code transaction."""
    return set_code(key, nonce, authorities, tip=price, cap=price, gas=150_000)


@cache
def large(key: Key, nonce: int, price: int) -> Transaction:
    """A transaction of two slots."""
    return legacy(key, nonce, price=price, gas=2_000_000, value=0, data=bytes(40_000))


transactions = st.one_of(
    st.builds(plain, senders, nonces, prices, st.sampled_from(GAS)),
    st.builds(
        dynamic, senders, nonces, prices, st.integers(0, 12), st.sampled_from(GAS), st.sampled_from([2, 5])
    ),
    st.builds(large, senders, nonces, prices),
    st.builds(delegating, senders, nonces, prices, st.lists(senders, min_size=1, max_size=2).map(tuple)),
)


class PoolMachine(RuleBasedStateMachine):
    """Both pools on one chain."""

    @initialize(
        guaranteed=st.integers(1, 3),
        pending=st.integers(1, 8),
        per_sender=st.integers(1, 4),
        queued=st.integers(1, 6),
        bump=st.sampled_from([10, 50]),
        base_fee=st.sampled_from([None, 0, 5]),
        network=st.sampled_from(["Prague", "Osaka"]),
        tells_changes=st.booleans(),
    )
    def start(
        self,
        guaranteed: int,
        pending: int,
        per_sender: int,
        queued: int,
        bump: int,
        base_fee: int | None,
        network: str,
        tells_changes: bool,
    ) -> None:
        """Limits, a fork, and accounts with money."""
        self.chain = FakeChain(base_fee=base_fee, network=network, tells_changes=tells_changes)
        self.chain.fund(*SENDERS, balance=10**9)
        changed = {
            "accountslots": guaranteed,
            "globalslots": pending,
            "accountqueue": per_sender,
            "globalqueue": queued,
            "pricebump": bump,
        }
        self.rig = PoolRig(self.chain, **changed)
        self.model = NaivePool(limits(**changed), self.chain)
        self.model.now = self.rig.now
        self.blocks: list[list[Transaction]] = []

    @rule(batch=st.lists(transactions, min_size=1, max_size=4))
    def submit(self, batch: list[Transaction]) -> None:
        """The answers are the same."""
        answers = [None if answer is None else str(answer) for answer in self.rig.try_add(*batch)]

        assert answers == self.model.add(batch)

    @rule(key=senders, start=st.integers(0, 3), count=st.integers(2, 8), price=prices)
    def submit_run(self, key: Key, start: int, count: int, price: int) -> None:
        """Many of one sender."""
        self.submit([plain(key, start + each, price, 21_000) for each in range(count)])

    @rule(count=st.integers(0, 6), base_fee=st.sampled_from([None, 0, 1, 5, 9]))
    def mine(self, count: int, base_fee: int | None) -> None:
        """A block of the best pending ones."""
        best = list(self.rig.pool.pending_best(self.chain.base_fee))[:count]
        self.chain.mine(*best)
        self.chain.base_fee = base_fee
        self.blocks.append(best)
        self.settle()

    @rule(kept=st.integers(0, 2))
    def reorganize(self, kept: int) -> None:
        """The last block is replaced by one with some of its transactions."""
        if not self.blocks:
            return
        block = self.blocks.pop()
        for tx in reversed(block):
            account = self.chain.state[tx.sender]
            account.nonce, account.balance = tx.nonce, account.balance + tx.cost
            self.chain.mined.pop(tx.hash)
        self.chain.mine(*block[:kept])
        self.blocks.append(block[:kept])
        self.settle(block[kept:])

    @rule(key=senders, balance=st.sampled_from(BALANCES), nonce=st.integers(0, 4), is_delegated=st.booleans())
    def change_account(self, key: Key, balance: int, nonce: int, is_delegated: bool) -> None:
        """Something else moved the account; blocks of before cannot be reorganized any more."""
        account = self.chain.account(key)
        account.balance, account.nonce = balance, nonce
        account.code_hash = DELEGATION if is_delegated else EMPTY_CODE_HASH
        self.chain.number += 1
        self.blocks.clear()
        self.settle()

    @rule(gas_limit=st.sampled_from([50_000, 80_000, 3_000_000, 30_000_000]))
    def change_gas_limit(self, gas_limit: int) -> None:
        """Blocks become smaller or larger."""
        self.chain.gas_limit = gas_limit
        self.chain.number += 1
        self.settle()

    def settle(self, discarded: list[Transaction] | None = None) -> None:
        """Both move to the head."""
        self.rig.reset(discarded or ())
        self.model.reset(discarded or ())

    @rule(seconds=st.sampled_from([60.0, 3_600.0, 3 * 3_600.0 + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.rig.wait(seconds)
        self.model.now = self.rig.now
        self.model.tick()

    @rule(gas_tip=st.integers(1, 8))
    def change_gas_tip(self, gas_tip: int) -> None:
        """The minimum tip."""
        self.rig.set_gas_tip(gas_tip)
        self.model.set_gas_tip(gas_tip)

    @rule(place=st.integers(0, 30))
    def remove(self, place: int) -> None:
        """One is taken out by hand."""
        pooled = self.rig.pool.pooled()
        if pooled:
            tx = pooled[place % len(pooled)].transaction
            self.rig.remove(tx)
            self.model.remove_entry(next(each for each in self.model.entries if each.tx.hash == tx.hash))

    @invariant()
    def both_hold_the_same(self) -> None:
        """Content, nonces and meters."""
        if not hasattr(self, "rig"):
            return
        pool = self.rig.pool
        content = tuple(
            {sender: [tx.hash for tx in held] for sender, held in place.items()} for place in pool.content()
        )
        assert content == self.model.content()
        assert asdict(pool.statistics().meters) == self.model.meters
        assert [pool.nonce(key.address) for key in SENDERS] == [
            self.model.next_nonce(key.address) for key in SENDERS
        ]

    @invariant()
    def departed_or_pooled(self) -> None:
        """What was announced as gone is gone, for a reason; what was admitted is pooled or has one."""
        if not hasattr(self, "rig"):
            return
        for departure in self.rig.departures():
            if self.rig.pool.get(departure.hash) is None:
                assert self.rig.pool.drop_record(departure.hash) is not None


TestPoolMachine = PoolMachine.TestCase
pytest.mark.timeout(1_200)(TestPoolMachine)
TestPoolMachine.settings = settings(
    max_examples=max(EXAMPLES, settings().max_examples), stateful_step_count=STEPS, deadline=None
)
