"""
What a person sees when the daemon has started: accounts with keys, chain, sealing, addresses, data.

The keys of the dev chain's accounts are known to everybody; on a chain that does not fund them they are not shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eth_account import Account
from eth_account.signers.local import LocalAccount
from rich.console import Console
from rich.markup import escape

from parallelpool.chain import CoreChain

DEV_MNEMONIC = "test test test test test test test test test test test junk"
DEV_ACCOUNTS = 10
ETHER = 10**18


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What the banner says besides the accounts."""

    version: str
    chain_id: int
    head: int
    sealing: str
    addresses: Mapping[str, str]
    """Name of an endpoint -> where it listens."""
    data: str


def dev_accounts() -> list[LocalAccount]:
    """The ten accounts of the well-known test mnemonic."""
    Account.enable_unaudited_hdwallet_features()
    path = "m/44'/60'/0'/0/{}"
    return [
        Account.from_mnemonic(DEV_MNEMONIC, account_path=path.format(index)) for index in range(DEV_ACCOUNTS)
    ]


def funded(chain: CoreChain) -> list[tuple[LocalAccount, int]]:
    """Those dev accounts that own something on this chain, each with its balance in wei."""
    accounts = dev_accounts()
    states = chain.accounts([bytes.fromhex(account.address[2:]) for account in accounts])
    return [
        (account, state.balance) for account, state in zip(accounts, states, strict=True) if state.balance
    ]


def show(facts: StartFacts, accounts: list[tuple[LocalAccount, int]], console: Console) -> None:
    """Prints the banner; values stand as they are, whole on one line, so that programs can read them."""
    console.print(f"\n  [bold]parallelpool[/] {facts.version}\n")
    if accounts:
        console.print("  Accounts")
        for index, (account, balance) in enumerate(accounts):
            console.print(f"  ({index}) {account.address} ({balance / ETHER:,.4f} ETH)")
        console.print("\n  Private keys (known to everybody: never use them on another chain)")
        for index, (account, _) in enumerate(accounts):
            console.print(f"  ({index}) 0x{bytes(account.key).hex()}")
        console.print(f"\n  Mnemonic     {DEV_MNEMONIC}")
    rows = {
        "Chain id": str(facts.chain_id),
        "Head": f"block {facts.head}",
        "Sealing": facts.sealing,
        **facts.addresses,
        "Data": facts.data,
    }
    for name, value in rows.items():
        console.print(f"  {name:<12} {escape(value)}", soft_wrap=True)
    console.print()
