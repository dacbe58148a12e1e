"""
A wallet: tag, sign, send, wait.

Needs a running daemon (`make run`) and a key with money; without one it takes the first account of the dev chain,
whose key everybody knows. Exits 1 if the transaction is refused or fails.

    python -m examples.wallet --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 1
"""

import argparse
import asyncio
import sys
from typing import Any

from eth_account.signers.local import LocalAccount

from parallelpool import wallet
from parallelpool.client import Client, ClientError

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Account 0 of the well-known test words: worth nothing anywhere else."""


async def pay(node: Client, payer: LocalAccount, to: str, value: int, tag: Any) -> dict[str, Any]:
    """Sends `value` wei with the tag; the receipt. Raises ClientError, TimeoutError."""
    unsigned = await node.tag_transaction({"from": payer.address, "to": to, "value": value}, tag)
    tagging = unsigned.pop("tagging")
    print(f"tagged     {tagging['tag']}, the daemon filled in {', '.join(tagging['filled'])}")

    verdict = await node.is_parallelizable({**unsigned, "from": payer.address})
    print(
        f"predicted  {'parallel' if verdict.parallelizable else 'sequential'}", *verdict.reasons, sep="\n  "
    )

    signed = wallet.sign(unsigned, payer)
    tx_hash = await node.send_raw_transaction(bytes(signed.raw_transaction))
    print(f"sent       0x{tx_hash.hex()}")

    receipt = await node.wait_for_receipt(tx_hash)
    print(f"mined      block {int(receipt['blockNumber'], 16)}, {int(receipt['gasUsed'], 16)} gas")
    return receipt


async def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url", default="http://127.0.0.1:8545", help="the daemon: HTTP, WebSocket, or IPC path"
    )
    parser.add_argument("--key", default=DEV_KEY, help="private key of the payer")
    parser.add_argument("--to", required=True, help="address of the payee")
    parser.add_argument("--value", type=int, default=0, help="wei")
    parser.add_argument("--tag", choices=["PARALLEL", "SEQUENTIAL"], default="PARALLEL")
    options = parser.parse_args()
    try:
        async with Client(options.url) as node:
            receipt = await pay(node, wallet.account_of(options.key), options.to, options.value, options.tag)
    except (ClientError, TimeoutError) as error:
        print(f"wallet: {error or 'not mined in time'}", file=sys.stderr)
        return 1
    return 0 if receipt["status"] == "0x1" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
