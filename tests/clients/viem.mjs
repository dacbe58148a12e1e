// viem, unmodified: deploy, write, wait, read events, simulate a revert, watch blocks over WebSocket.
//
// Arguments: HTTP address, WebSocket address, private key, recipient, path of the compiled token. Prints one JSON object.
import { readFileSync } from "node:fs";
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  parseEther,
  webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";

const [httpUrl, websocketUrl, key, recipient, artifactPath] = process.argv.slice(2);
const { abi, bytecode } = JSON.parse(readFileSync(artifactPath, "utf8"));

const chain = defineChain({
  id: 31337,
  name: "parallelpool",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [httpUrl], webSocket: [websocketUrl] } },
});
const account = privateKeyToAccount(key);
const transport = http(httpUrl, { batch: true });
const reader = createPublicClient({ chain, transport, pollingInterval: 50 });
const watcher = createPublicClient({ chain, transport: webSocket(websocketUrl) });
const writer = createWalletClient({ account, chain, transport });

const deployment = await writer.deployContract({ abi, bytecode, args: [parseEther("1000")] });
const { contractAddress: address } = await reader.waitForTransactionReceipt({ hash: deployment });

const transfer = { address, abi, functionName: "transfer", args: [recipient, parseEther("7")], account };
const { request, result } = await reader.simulateContract(transfer);
const receipt = await reader.waitForTransactionReceipt({ hash: await writer.writeContract(request) });
const events = await reader.getContractEvents({ address, abi, eventName: "Transfer", fromBlock: receipt.blockNumber });

const { subscriptionId, unsubscribe } = await watcher.transport.subscribe({
  params: ["newHeads"],
  onData: ({ result: head }) => heard(head),
  onError: (error) => heard(error),
});
let heard;
const head = new Promise((resolve) => (heard = resolve));
const plain = await writer.sendTransaction({ to: recipient, value: parseEther("1.5") });
const plainReceipt = await reader.waitForTransactionReceipt({ hash: plain });
const newHead = await head;
await unsubscribe();

let revert = null;
try {
  await reader.simulateContract({ ...transfer, functionName: "transferFrom", args: [recipient, account.address, 1n] });
} catch (error) {
  const cause = error instanceof BaseError ? error.walk((each) => each instanceof ContractFunctionRevertedError) : null;
  revert = cause?.data?.errorName ?? String(error);
}

console.log(
  JSON.stringify({
    chainId: await reader.getChainId(),
    address,
    subscribed: subscriptionId,
    simulated: result,
    tokens: (await reader.readContract({ address, abi, functionName: "balanceOf", args: [recipient] })).toString(),
    balance: (await reader.getBalance({ address: recipient })).toString(),
    receiptType: receipt.type,
    status: [receipt.status, plainReceipt.status],
    events: events.map((event) => event.args.value.toString()),
    newHead: { number: newHead.number, hash: newHead.hash },
    plainBlock: { number: Number(plainReceipt.blockNumber), hash: plainReceipt.blockHash },
    revert,
    transactionCount: await reader.getTransactionCount({ address: account.address, blockTag: "pending" }),
  }),
);
process.exit(0); // viem would open a closed socket again for as long as the program runs
