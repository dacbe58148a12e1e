"""
A naive pool: the rules of `docs/pool.md` restated over plain lists, slow and obvious.

Nothing is kept that could be counted: every question walks over all transactions. It shares no code with the pool but
the engine's transactions and the texts of refusals. Rules of a transaction alone are judged by `check_alone` in both;
`tests/parallelpool/test_validation.py` holds those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from config.schema import TxPoolConfig
from parallelpool.meters import PoolMeters
from parallelpool.primitives import Wei
from parallelpool.transaction import Transaction
from parallelpool.validation import EMPTY_CODE_HASH, HeadRules, check_alone
from tests.factories import FakeChain

FUNDS = "insufficient funds for gas * price + value"
BUMP = "replacement transaction underpriced"
FULL = "txpool is full"


@dataclass(eq=False)
class Entry:
    """A pooled transaction and where it stands."""

    tx: Transaction
    arrival: int
    is_pending: bool = False

    @property
    def slots(self) -> int:
        """Its space."""
        return (len(self.tx.raw) + 32_767) // 32_768

    @property
    def authorities(self) -> set[bytes]:
        """Whom it would delegate."""
        return {each.authority for each in self.tx.authorization_list if each.authority is not None}


class NaivePool:
    """As `TxPool`, with texts instead of errors."""

    def __init__(self, limits: TxPoolConfig, chain: FakeChain) -> None:
        self.limits = limits
        self.chain = chain
        self.now = 0.0
        self.entries: list[Entry] = []
        self.beats: list[tuple[bytes, float]] = []
        self.floating: list[Entry] | None = None
        self.meters = {field.name: 0 for field in fields(PoolMeters)}
        self.gas_tip = limits.pricelimit
        self.arrivals = 0
        self.churn = 0
        self.evicted: list[Entry] = []
        self.head = HeadRules.of(chain)
        self.accounts = {address: (a.nonce, a.balance, a.code_hash) for address, a in chain.state.items()}

    # -- questions

    def of(self, sender: bytes, *, is_pending: bool | None = None) -> list[Entry]:
        """A sender's, in nonce order."""
        found = [
            each
            for each in self.entries
            if each.tx.sender == sender and is_pending in (None, each.is_pending)
        ]
        return sorted(found, key=lambda each: each.tx.nonce)

    def at(self, sender: bytes, nonce: int) -> Entry | None:
        """The sender's transaction with a nonce."""
        return next((each for each in self.of(sender) if each.tx.nonce == nonce), None)

    def account(self, sender: bytes) -> tuple[int, int, bytes]:
        """Nonce, balance, code hash at the pool's head."""
        return self.accounts.get(sender, (0, 0, EMPTY_CODE_HASH))

    def next_nonce(self, sender: bytes) -> int:
        """The first nonce that pending ones leave free."""
        nonce = self.account(sender)[0]
        while any(each.tx.nonce == nonce for each in self.of(sender, is_pending=True)):
            nonce += 1
        return nonce

    def content(self) -> tuple[dict[bytes, list[bytes]], dict[bytes, list[bytes]]]:
        """(pending, queued), sender -> hashes."""
        both: tuple[dict[bytes, list[bytes]], dict[bytes, list[bytes]]] = ({}, {})
        for sender in {each.tx.sender for each in self.entries}:
            for place, is_pending in zip(both, (True, False), strict=True):
                if found := self.of(sender, is_pending=is_pending):
                    place[sender] = [each.tx.hash for each in found]
        return both

    # -- price order

    def urgent_price(self, tx: Transaction) -> tuple[int, int, int]:
        """By what it pays in the next block."""
        base_fee = self.head.next_base_fee
        cap, tip = tx.max_fee_per_gas, tx.max_priority_fee_per_gas
        return (0 if base_fee is None else min(tip, cap - base_fee)), cap, tip

    def floating_price(self, tx: Transaction) -> tuple[int, int, int]:
        """By its caps."""
        return 0, tx.max_fee_per_gas, tx.max_priority_fee_per_gas

    def cheapest_urgent(self) -> Entry | None:
        """The worst of those not floating."""
        assert self.floating is not None
        floating = self.floating
        return min(
            (each for each in self.entries if each not in floating),
            key=lambda each: (self.urgent_price(each.tx), -each.tx.nonce, -each.arrival),
            default=None,
        )

    def cheapest_floating(self) -> Entry | None:
        """The worst of those floating."""
        return min(
            self.floating or (),
            key=lambda each: (self.floating_price(each.tx), -each.tx.nonce, -each.arrival),
            default=None,
        )

    def make_order(self) -> None:
        """The worst fifth floats."""
        if self.floating is None:
            self.floating = []
            for _ in range(len(self.entries) // 5):
                worst = self.cheapest_urgent()
                assert worst is not None
                self.floating.append(worst)

    def is_underpriced(self, tx: Transaction) -> bool:
        """Not better than the worst of either kind."""
        urgent, floating = self.cheapest_urgent(), self.cheapest_floating()
        return (
            (urgent is not None or floating is not None)
            and (urgent is None or self.urgent_price(tx) <= self.urgent_price(urgent.tx))
            and (floating is None or self.floating_price(tx) <= self.floating_price(floating.tx))
        )

    def choose_victims(self, slots: int) -> list[Entry] | None:
        """Who would have to leave; those chosen count as urgent again if they may stay."""
        assert self.floating is not None
        chosen: list[Entry] = []
        while slots > 0:
            urgent = [each for each in self.entries if each not in self.floating and each not in chosen]
            if len(urgent) > 4 * len(self.floating):
                self.floating.append(
                    min(urgent, key=lambda each: (self.urgent_price(each.tx), -each.tx.nonce, -each.arrival))
                )
            elif (worst := self.cheapest_floating()) is not None:
                self.floating.remove(worst)
                chosen.append(worst)
                slots -= worst.slots
            else:
                return None
        return chosen

    # -- in

    def add(self, transactions: Sequence[Transaction]) -> list[str | None]:
        """One call."""
        answers: list[str | None] = [self.check(tx) for tx in transactions]
        admitted: list[tuple[int, Entry]] = []
        for place, tx in enumerate(transactions):
            if answers[place] is None:
                entry = Entry(tx, self.arrivals)
                self.arrivals += 1
                answers[place] = self.admit(entry)
                if answers[place] is None:
                    admitted.append((place, entry))
        self.meters["valid"] += len(admitted)
        replaced = [entry for _, entry in admitted if entry not in self.entries and entry not in self.evicted]
        for sender in {entry.tx.sender for _, entry in admitted}:
            self.trim_queue(sender)
        self.truncate()
        for place, entry in admitted:
            if entry in self.evicted:
                answers[place] = "transaction underpriced"
            elif entry not in self.entries and entry not in replaced:
                answers[place] = FULL
        self.evicted = []
        return answers

    def check(self, tx: Transaction) -> str | None:
        """Alone."""
        if any(each.tx.hash == tx.hash for each in self.entries):
            self.meters["known"] += 1
            return "already known"
        refusal = check_alone(tx, self.head, min_tip=Wei(self.gas_tip), max_size=self.limits.maxtxsize)
        self.meters["invalid"] += refusal is not None
        return None if refusal is None else str(refusal)

    def admit(self, entry: Entry, *, is_promoting: bool = True) -> str | None:
        """Against account and pool; executable at once only if `is_promoting`."""
        tx = entry.tx
        if any(each.tx.hash == tx.hash for each in self.entries):
            self.meters["known"] += 1
            return "already known"
        refusal = self.check_account(entry)
        if refusal is not None:
            self.meters["invalid"] += 1
            return refusal
        refusal = self.make_room(entry)
        if refusal is not None:
            return refusal
        old = self.at(tx.sender, tx.nonce)
        if old is not None:
            if (refusal := self.check_bump(old, tx)) is not None:
                return refusal
            self.meters["pending_replace" if old.is_pending else "queued_replace"] += 1
            entry.is_pending = old.is_pending
            self.entries.append(entry)
            self.leave(old)
            if entry.is_pending:
                self.renew_beat(tx.sender)
            return None
        entry.is_pending = is_promoting and tx.nonce == self.next_nonce(tx.sender)
        self.entries.append(entry)
        if entry.is_pending:
            self.renew_beat(tx.sender)
            self.promote(tx.sender)
        else:
            self.set_beat(tx.sender)
        return None

    def check_account(self, entry: Entry) -> str | None:
        """Nonce, funds, delegations."""
        tx = entry.tx
        nonce, balance, code_hash = self.account(tx.sender)
        pending = self.of(tx.sender, is_pending=True)
        spent = sum(each.tx.cost for each in pending)
        old = next((each for each in pending if each.tx.nonce == tx.nonce), None)
        if tx.nonce < nonce:
            return f"nonce too low: next nonce {nonce}, tx nonce {tx.nonce}"
        if tx.cost > balance:
            return f"{FUNDS}: balance {balance}, tx cost {tx.cost}, overshot {tx.cost - balance}"
        kind, more = ("cost", tx.cost) if old is None else ("bumped", tx.cost - old.tx.cost)
        if spent + more > balance:
            over = spent + more - balance
            return f"{FUNDS}: balance {balance}, queued cost {spent}, tx {kind} {more}, overshot {over}"
        if code_hash != EMPTY_CODE_HASH or any(tx.sender in each.authorities for each in self.entries):
            if not pending and tx.nonce != nonce:
                return "gapped-nonce tx from delegated accounts"
            if pending and old is None:
                return "in-flight transaction limit reached for delegated accounts"
        if any(len(self.of(authority)) > 1 for authority in entry.authorities):
            return "authority already reserved"
        return None

    def make_room(self, entry: Entry) -> str | None:
        """Evictions."""
        used = sum(each.slots for each in self.entries)
        excess = used + entry.slots - self.limits.globalslots - self.limits.globalqueue
        if excess <= 0:
            return None
        self.make_order()
        if self.is_underpriced(entry.tx):
            self.meters["underpriced"] += 1
            return "transaction underpriced"
        if self.churn > self.limits.globalslots // 4:
            self.meters["throttled"] += 1
            return FULL
        victims = self.choose_victims(excess)
        if victims is None:
            self.meters["overflowed"] += 1
            return FULL
        if self.is_gapped(entry.tx) and any(each.is_pending for each in victims):
            return "future transaction tries to replace pending"
        old = self.at(entry.tx.sender, entry.tx.nonce)
        if old is not None and old not in victims and (refusal := self.check_bump(old, entry.tx)) is not None:
            return refusal
        for victim in victims:
            self.meters["underpriced"] += 1
            self.churn += self.remove_entry(victim)
            self.evicted.append(victim)
        return None

    def is_gapped(self, tx: Transaction) -> bool:
        """Some nonce between the pending ones and this one is missing."""
        return any(self.at(tx.sender, nonce) is None for nonce in range(self.next_nonce(tx.sender), tx.nonce))

    def check_bump(self, old: Entry, tx: Transaction) -> str | None:
        """Both caps strictly higher and at the threshold."""
        for before, after in (
            (old.tx.max_fee_per_gas, tx.max_fee_per_gas),
            (old.tx.max_priority_fee_per_gas, tx.max_priority_fee_per_gas),
        ):
            if after <= before or after < before * (100 + self.limits.pricebump) // 100:
                self.meters["pending_discard" if old.is_pending else "queued_discard"] += 1
                return BUMP
        return None

    # -- moving and leaving

    def leave(self, entry: Entry) -> None:
        """Out of the pool."""
        self.entries.remove(entry)
        if self.floating is not None and entry in self.floating:
            self.floating.remove(entry)
        if not self.of(entry.tx.sender, is_pending=False):
            self.beats = [beat for beat in self.beats if beat[0] != entry.tx.sender]

    def remove_entry(self, entry: Entry) -> int:
        """Out of the pool, followers wait; how many are no longer executable."""
        followers = [
            each
            for each in self.of(entry.tx.sender, is_pending=True)
            if entry.is_pending and each.tx.nonce > entry.tx.nonce
        ]
        was_pending = entry.is_pending
        self.leave(entry)
        for each in followers:
            self.requeue(each)
        return len(followers) + was_pending

    def requeue(self, entry: Entry) -> None:
        """Waits from now on."""
        entry.is_pending = False
        self.set_beat(entry.tx.sender)

    def set_beat(self, sender: bytes) -> None:
        """Only if there is none."""
        if all(beat[0] != sender for beat in self.beats):
            self.beats.append((sender, self.now))

    def renew_beat(self, sender: bytes) -> None:
        """Only if there is one."""
        if any(beat[0] == sender for beat in self.beats):
            self.beats = [*(beat for beat in self.beats if beat[0] != sender), (sender, self.now)]

    def promote(self, sender: bytes) -> None:
        """What continues the pending ones becomes pending."""
        while (entry := self.at(sender, self.next_nonce(sender))) is not None:
            entry.is_pending = True
            if self.of(sender, is_pending=False):
                self.renew_beat(sender)
            else:
                self.beats = [beat for beat in self.beats if beat[0] != sender]

    # -- limits

    def trim_queue(self, sender: bytes) -> None:
        """The highest nonces go."""
        while len(queue := self.of(sender, is_pending=False)) > self.limits.accountqueue:
            self.meters["queued_ratelimit"] += 1
            self.leave(queue[-1])

    def truncate(self) -> None:
        """Pending by rounds, queued by silence."""
        self.truncate_pending()
        while sum(not each.is_pending for each in self.entries) > self.limits.globalqueue:
            self.meters["queued_ratelimit"] += 1
            self.leave(self.of(self.beats[0][0], is_pending=False)[-1])
        self.churn = 0

    def truncate_pending(self) -> None:
        """geth's rounds."""
        limit, share = self.limits.globalslots, self.limits.accountslots
        offenders: list[bytes] = []

        def size(sender: bytes) -> int:
            return len(self.of(sender, is_pending=True))

        def is_over() -> bool:
            return sum(each.is_pending for each in self.entries) > limit

        def take_one(sender: bytes) -> None:
            self.meters["pending_ratelimit"] += 1
            self.leave(self.of(sender, is_pending=True)[-1])

        senders = {each.tx.sender for each in self.entries}
        spammers = sorted((sender for sender in senders if size(sender) > share), key=size)
        while is_over() and spammers:
            offenders.append(spammers.pop())
            threshold = size(offenders[-1])
            while len(offenders) > 1 and is_over() and size(offenders[-2]) > threshold:
                for sender in offenders[:-1]:
                    take_one(sender)
        while is_over() and offenders and size(offenders[-1]) > share:
            for sender in offenders:
                take_one(sender)

    def set_gas_tip(self, gas_tip: int) -> None:
        """What offers less leaves if it rose."""
        rose, self.gas_tip = gas_tip > self.gas_tip, gas_tip
        for entry in [each for each in self.entries if rose and each.tx.max_priority_fee_per_gas < gas_tip]:
            self.remove_entry(entry)

    def tick(self) -> None:
        """Silent senders' waiting ones go."""
        for sender, beat in list(self.beats):
            if self.now - beat > self.limits.lifetime.total_seconds():
                for entry in self.of(sender, is_pending=False):
                    self.meters["queued_eviction"] += 1
                    self.leave(entry)

    # -- a new head

    def reset(self, discarded: Sequence[Transaction] = ()) -> None:
        """To the chain's head."""
        old, self.head = self.head, HeadRules.of(self.chain)
        cap = self.head.max_transaction_gas
        if old.max_transaction_gas is None and cap is not None:
            for entry in [each for each in self.entries if each.tx.gas_limit > cap]:
                self.remove_entry(entry)
        self.accounts = {
            address: (a.nonce, a.balance, a.code_hash) for address, a in self.chain.state.items()
        }
        for entry in [each for each in self.entries if each.is_pending]:
            if entry.tx.nonce < self.account(entry.tx.sender)[0]:
                self.leave(entry)
        for tx in discarded:
            entry = Entry(tx, self.arrivals)
            self.arrivals += 1
            if self.admit(entry, is_promoting=False) is None:
                self.meters["valid"] += 1
        for sender in {each.tx.sender for each in self.entries}:
            self.settle_sender(sender)
        self.floating = None
        self.truncate()
        self.evicted = []

    def settle_sender(self, sender: bytes) -> None:
        """Promotion, the sender's limit, demotion."""
        nonce, balance, _ = self.account(sender)
        for entry in self.of(sender, is_pending=False):
            if entry.tx.nonce < nonce:
                self.leave(entry)
            elif entry.tx.cost > balance or entry.tx.gas_limit > self.head.gas_limit:
                self.meters["queued_nofunds"] += 1
                self.leave(entry)
        self.promote_all(sender)
        self.trim_queue(sender)
        for entry in self.of(sender, is_pending=True):
            if entry.tx.cost > balance or entry.tx.gas_limit > self.head.gas_limit:
                self.meters["pending_nofunds"] += 1
                self.leave(entry)
        next_nonce = self.next_nonce(sender)
        for entry in self.of(sender, is_pending=True):
            if entry.tx.nonce >= next_nonce:
                self.requeue(entry)

    def promote_all(self, sender: bytes) -> None:
        """As `promote`, where the pending ones may begin above the account's nonce after a reorg."""
        pending = self.of(sender, is_pending=True)
        if not pending or pending[0].tx.nonce == self.account(sender)[0]:
            self.promote(sender)
            return
        # Whatever lies below comes along; the gap is found out by the demotion that follows.
        waiting = self.of(sender, is_pending=False)
        while waiting and waiting[0].tx.nonce <= pending[-1].tx.nonce + 1:
            run = [waiting[0]]
            for entry in waiting[1:]:
                if entry.tx.nonce != run[-1].tx.nonce + 1:
                    break
                run.append(entry)
            for entry in run:
                entry.is_pending = True
            if self.of(sender, is_pending=False):
                self.renew_beat(sender)
            else:
                self.beats = [beat for beat in self.beats if beat[0] != sender]
            pending, waiting = self.of(sender, is_pending=True), self.of(sender, is_pending=False)
