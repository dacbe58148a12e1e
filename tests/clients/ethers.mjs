// ethers v6, unmodified: deploy, transfer, wait, read events, provoke a revert, listen over WebSocket.
//
// Arguments: HTTP address, WebSocket address, private key, recipient, path of the compiled token. Prints one JSON object.
import { readFileSync } from "node:fs";
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, parseEther } from "ethers";

const [http, websocket, key, recipient, artifactPath] = process.argv.slice(2);
const { abi, bytecode } = JSON.parse(readFileSync(artifactPath, "utf8"));

// ethers answers equal questions from its cache for 250 ms: blocks come faster here, so the cache is off.
const provider = new JsonRpcProvider(http, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const socket = new WebSocketProvider(websocket);
const wallet = new Wallet(key, provider);

const factory = new ContractFactory(abi, bytecode, wallet);
const deployed = await factory.deploy(parseEther("1000"));
await deployed.waitForDeployment();
const address = await deployed.getAddress();

const listening = new Contract(address, abi, socket);
let hear;
const heard = new Promise((resolve) => (hear = resolve));
await listening.once("Transfer", (from, to, value) => hear({ from, to, value: value.toString() }));
await socket.send("eth_chainId", []); // sent after the subscription, so that one stands before this is answered
const subscribed = await listening.listenerCount("Transfer");

const sent = await deployed.transfer(recipient, parseEther("7"));
const receipt = await sent.wait();
const events = await deployed.queryFilter("Transfer", receipt.blockNumber, receipt.blockNumber);

const plain = await wallet.sendTransaction({ to: recipient, value: parseEther("1.5") });
const plainReceipt = await plain.wait();

let revert = null;
try {
  await deployed.transferFrom.staticCall(recipient, wallet.address, 1n);
} catch (error) {
  revert = error.revert?.name ?? String(error);
}

console.log(
  JSON.stringify({
    chainId: Number((await provider.getNetwork()).chainId),
    address,
    subscribed,
    tokens: (await deployed.balanceOf(recipient)).toString(),
    balance: (await provider.getBalance(recipient)).toString(),
    receiptType: receipt.type,
    status: [receipt.status, plainReceipt.status],
    logs: receipt.logs.map((log) => log.fragment?.name),
    events: events.map((event) => event.args.value.toString()),
    heard: await heard,
    revert,
    transactionCount: await provider.getTransactionCount(wallet.address, "pending"),
  }),
);
await socket.destroy();
provider.destroy();
