"""The banner's accounts, and what the start does without."""

import subprocess
import sys

from eth_account import Account

from parallelpool.banner import DEV_ACCOUNTS, DEV_MNEMONIC


def test_the_accounts_are_those_of_the_mnemonic() -> None:
    """Address and key of each, derived by eth-account."""
    Account.enable_unaudited_hdwallet_features()

    for index, account in enumerate(DEV_ACCOUNTS):
        derived = Account.from_mnemonic(DEV_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
        assert (account.address, account.key) == (derived.address, f"0x{bytes(derived.key).hex()}")
    assert len(DEV_ACCOUNTS) == 10


def test_the_daemon_starts_without_eth_account() -> None:
    """Its import alone takes longer than the rest of the start."""
    program = "import sys, parallelpool.__main__; sys.exit('eth_account' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
