"""
The list itself: each test of geth's pool has one here that names it, or a reason in `docs/pool.md` why it has none.
"""

import re
from pathlib import Path
from typing import Final

from tests.public_data import REPOSITORY

LEGACY_POOL: Final = """
TestStateChangeDuringReset TestInvalidTransactions TestQueue TestQueue2 TestNegativeValue TestTipAboveFeeCap
TestVeryHighValues TestChainFork TestDoubleNonce TestMissingNonce TestNonceRecovery TestDropping TestPostponing
TestGapFilling TestQueueAccountLimiting TestQueueGlobalLimiting TestQueueTimeLimiting TestPendingLimiting
TestPendingGlobalLimiting TestAllowedTxSize TestCapClearsFromAll TestPendingMinimumAllowance TestRepricing
TestMinGasPriceEnforced TestRepricingDynamicFee TestUnderpricing TestStableUnderpricing TestUnderpricingDynamicFee
TestDualHeapEviction TestDeduplication TestReplacement TestReplacementDynamicFee TestStatusCheck TestSlotCount
TestSetCodeTransactions TestSetCodeTransactionsReorg
"""

SET_CODE: Final = """
accept-one-inflight-tx-of-delegated-account allow-one-tx-from-pooled-delegation
accept-authorization-from-sender-of-one-inflight-tx
reject-authorization-from-sender-with-more-than-one-inflight-tx allow-setcode-tx-with-pending-authority-tx
replace-by-fee-setcode-tx allow-more-than-one-tx-from-replaced-authority
allow-tx-from-replaced-self-sponsor-authority replacements-respect-inflight-tx-count
track-multiple-conflicting-delegations remove-hash-from-authority-tracker
"""
"""Subtests of TestSetCodeTransactions."""

ATTACKS: Final = "TestTransactionFutureAttack TestTransactionFuture1559 TestTransactionZAttack"

PARTS: Final = """
TestStrictListAdd TestListAddVeryExpensive TestPriceHeapCmp TestValidateTransactionEIP2681
TestTransactionPriceNonceSort TestTransactionTimeSort TestResubmit TestJournal TestSendTx TestSendTxEIP2681
"""


def test_every_line_of_geths_list_has_a_test_or_a_reason() -> None:
    """60 lines: what geth's own tests of its pool verify."""
    names = f"{LEGACY_POOL} {SET_CODE} {ATTACKS} {PARTS}".split()
    folder = Path(__file__).parent
    told = "".join(file.read_text() for file in folder.glob("test_*.py") if file != Path(__file__))
    told += (REPOSITORY / "docs" / "pool.md").read_text()

    assert len(names) == len(set(names)) == 60
    assert [name for name in names if not re.search(rf"\b{name}\b", told)] == []
