"""Blocks that are pending, unknown, or wanted in their encoding, as geth answers for them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rpc.errors import Json
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import ALICE, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "0x" + "22" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node whose head has one transaction."""
    async with dev_node() as node:
        await node.ask("eth_sendRawTransaction", "0x" + signed(ALICE, nonce=0).hex())
        await node.ask("dev_mine")
        yield node


@pytest.mark.parametrize(
    ("method", "params", "answer"),
    [
        ("eth_getBlockTransactionCountByNumber", ["pending"], "0x0"),
        ("eth_getTransactionByBlockNumberAndIndex", ["pending", "0x0"], None),
        ("eth_getRawTransactionByBlockNumberAndIndex", ["pending", "0x0"], "0x"),
        ("eth_getHeaderByNumber", ["pending"], None),
        ("eth_getBlockReceipts", ["pending"], []),
        ("eth_getBlockReceipts", ["0x99"], None),
        ("debug_getRawReceipts", ["pending"], []),
        ("debug_getRawReceipts", [NOWHERE], []),
        ("debug_getRawReceipts", ["0x99"], None),
        ("debug_getRawHeader", ["0x99"], "0x"),
        ("debug_getRawBlock", ["0x99"], "0x"),
    ],
)
async def test_the_pending_block_has_nothing_and_others_are_not_there(
    dev: Dev, method: str, params: list[Json], answer: Json
) -> None:
    """The pending block is never the head under another name."""
    assert await dev.ask(method, *params) == answer


@pytest.mark.parametrize("kind", ["header", "block"])
async def test_an_unknown_hash_is_written_as_go_writes_it(dev: Dev, kind: str) -> None:
    """Byte by byte; and the pending block has no encoding to give."""
    method = f"debug_getRaw{kind.capitalize()}"

    assert await dev.fail(method, NOWHERE) == (
        -32000,
        f"{kind} #[{' '.join(['34'] * 32)}] not found",
        None,
    )
    assert await dev.fail(method, "pending") == (-32000, f"pending {kind} is not available", None)


async def test_a_number_has_no_white_space_around_it(dev: Dev) -> None:
    """Not even where geth trims the JSON around it."""
    assert (await dev.fail("eth_getBlockByNumber", " 0x1", False))[0] == -32602


async def test_an_error_escapes_what_go_escapes_for_html(dev: Dev) -> None:
    """Its bytes are geth's, although any reader sees the same text."""
    request = b'{"jsonrpc":"2.0","id":1,"method":"eth_<&>\\u2028"}'
    headers = {"Content-Type": "application/json"}

    async with dev.session.post(dev.server.http_url or "", data=request, headers=headers) as response:
        answer = await response.read()

    assert b"the method eth_\\u003c\\u0026\\u003e\\u2028 does not exist" in answer
