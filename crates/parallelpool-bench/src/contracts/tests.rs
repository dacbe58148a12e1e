//! The artifacts are what the sources say, and the contracts do what they are for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use parallelpool_core::primitives::{Address, B256, Log, address, keccak256};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use serde_json::Value as Json;

use super::abi::{Value, call};
use super::uniswap::FEE_TIER;
use super::*;

const OWNER: Address = address!("0x0000000000000000000000000000000000000aaa");
const ALICE: Address = address!("0x0000000000000000000000000000000000000bbb");
const BOB: Address = address!("0x0000000000000000000000000000000000000ccc");

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: &str) -> Json {
    let text = std::fs::read_to_string(repository().join(path)).expect("a file of the repository");
    serde_json::from_str(&text).expect("JSON")
}

fn artifacts() -> impl Iterator<Item = (&'static str, Json)> {
    ARTIFACTS.iter().map(|(name, text)| (*name, serde_json::from_str(text).expect("JSON")))
}

#[test]
fn artifacts_were_built_from_the_sources_as_they_are() {
    let mut built_from = BTreeSet::new();
    for (name, artifact) in artifacts() {
        assert_eq!(artifact["contractName"], name);
        for (path, recorded) in artifact["sources"].as_object().expect("hashes by path") {
            let source = std::fs::read(repository().join(path)).expect("a source of the repository");
            let hash = keccak256(source).to_string();
            assert_eq!(recorded, &hash, "{path} has changed: make contracts");
            built_from.insert(path.clone());
        }
    }
    for file in std::fs::read_dir(repository().join("benches/contracts/src")).expect("a folder") {
        let name = file.expect("a file").file_name().into_string().expect("a plain name");
        assert!(built_from.contains(&format!("benches/contracts/src/{name}")), "{name} is not built");
    }
}

#[test]
fn artifacts_were_built_by_the_locked_compiler_under_one_setting() {
    let lock = json("benches/contracts/package-lock.json");
    let version = lock["packages"]["node_modules/solc"]["version"].as_str().expect("a version");
    let mut settings = BTreeSet::new();
    for (name, artifact) in artifacts() {
        let compiler = artifact["compiler"].as_str().expect("a version");
        assert!(compiler.starts_with(&format!("{version}+")), "{name}: {compiler}");
        settings.insert(artifact["settings"].to_string());
    }
    assert_eq!(settings.len(), 1, "{settings:?}");
}

#[test]
fn uniswaps_factory_is_from_the_locked_package_and_holds_the_pool_of_mainnet() {
    let lock = json("benches/contracts/package-lock.json");
    let package = &lock["packages"]["node_modules/@uniswap/v3-core"];
    let factory = json("benches/contracts/uniswap/UniswapV3Factory.json");
    assert_eq!(factory["version"], package["version"]);
    assert_eq!(factory["integrity"], package["integrity"]);

    // Length and place of the pool's creation code; its hash tells whether they are right.
    let code = uniswap_factory().expect("a committed file");
    let pool = &code[2_167..2_167 + 22_728];
    assert_eq!(keccak256(pool), super::uniswap::POOL_INIT_CODE_HASH);
}

#[test]
fn arguments_are_encoded_as_solidity_does() {
    let list: &[Address] = &[ALICE, BOB];
    let bytes = Bytes::from_static(b"abc");
    let encoded =
        call("f(int24,address[],bytes,uint256)", &[(-2).into(), list.into(), bytes.into(), 7.into()]);

    let words = [
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "00000000000000000000000000000000000000000000000000000000000000e0",
        "0000000000000000000000000000000000000000000000000000000000000007",
        "0000000000000000000000000000000000000000000000000000000000000002",
        "0000000000000000000000000000000000000000000000000000000000000bbb",
        "0000000000000000000000000000000000000000000000000000000000000ccc",
        "0000000000000000000000000000000000000000000000000000000000000003",
        "6162630000000000000000000000000000000000000000000000000000000000",
    ];
    assert_eq!(alloy_primitives::hex::encode(&encoded[4..]), words.concat());
    // The selector that every ERC-20 token has.
    assert_eq!(call("transfer(address,uint256)", &[])[..], [0xa9, 0x05, 0x9c, 0xbb]);
}

/// A stage on which the three accounts own an ether each.
fn stage() -> Stage {
    let mut state = MemoryState::new();
    for account in [OWNER, ALICE, BOB] {
        state.insert_account(account, Account { balance: units(18), ..Account::default() }, None);
    }
    Stage::new(state).expect("one thread")
}

/// Makes a call that must succeed; what it returned and logged.
fn ask(stage: &mut Stage, sender: Address, to: Address, data: Bytes) -> (U256, Vec<Log>) {
    let (receipt, output) = stage.attempt(sender, to, U256::ZERO, data);
    assert!(receipt.success, "{output}");
    (U256::from_be_slice(&output[..output.len().min(32)]), receipt.logs)
}

/// Makes a call that must fail with the error of that signature.
fn assert_refused(stage: &mut Stage, sender: Address, to: Address, data: Bytes, error: &str) {
    let (receipt, output) = stage.attempt(sender, to, U256::ZERO, data);
    assert!(!receipt.success, "{error} was expected");
    assert_eq!(output[..4], keccak256(error)[..4], "{error} was expected, not {output}");
}

fn balance_of(stage: &mut Stage, token: Address, account: Address) -> U256 {
    ask(stage, OWNER, token, call("balanceOf(address)", &[account.into()])).0
}

fn transfer(to: Address, amount: U256) -> Bytes {
    call("transfer(address,uint256)", &[to.into(), amount.into()])
}

#[test]
fn tokens_move_what_is_owned_and_no_more() {
    let mut stage = stage();
    let implementation = stage.create(OWNER, creation_code("Stablecoin", &[])).expect("room");
    let setup = call("initialize(address,uint256)", &[OWNER.into(), 100.into()]);
    let proxied = creation_code("Proxy", &[implementation.into(), setup.clone().into()]);
    let stable = stage.create(OWNER, proxied).expect("room");
    let plain = stage.create(OWNER, creation_code("DemoToken", &[100.into()])).expect("room");
    for token in [stable, plain] {
        stage.call(OWNER, token, transfer(ALICE, U256::from(60))).expect("room");
        assert_eq!(balance_of(&mut stage, token, OWNER), U256::from(40));
        assert_eq!(balance_of(&mut stage, token, ALICE), U256::from(60));
        let (_, logs) = ask(&mut stage, ALICE, token, transfer(BOB, U256::from(60)));
        let topics = [keccak256("Transfer(address,address,uint256)"), ALICE.into_word(), BOB.into_word()];
        assert_eq!(logs[0].topics(), topics);
        assert_eq!(logs[0].data.data[..], U256::from(60).to_be_bytes::<32>());
        let error = "InsufficientBalance(address,uint256,uint256)";
        assert_refused(&mut stage, ALICE, token, transfer(BOB, U256::from(61)), error);
    }
    assert_refused(&mut stage, ALICE, stable, setup, "AlreadyInitialized()");
    let block = call("setBlocked(address,bool)", &[ALICE.into(), 1.into()]);
    assert_refused(&mut stage, ALICE, stable, block.clone(), "NotGovernor(address)");
    stage.call(OWNER, stable, block).expect("room");
    assert_refused(&mut stage, ALICE, stable, transfer(BOB, U256::ONE), "Blocked(address)");
    assert_refused(&mut stage, OWNER, stable, transfer(ALICE, U256::ONE), "Blocked(address)");
    stage.call(OWNER, stable, call("setPaused(bool)", &[1.into()])).expect("room");
    assert_refused(&mut stage, OWNER, stable, transfer(BOB, U256::ONE), "Paused()");
}

#[test]
fn ether_is_wrapped_and_unwrapped_one_to_one() {
    let mut stage = stage();
    let wrapped = stage.create(OWNER, creation_code("WrappedEther", &[])).expect("room");
    let withdraw = |wei: u64| call("withdraw(uint256)", &[wei.into()]);
    stage.pay(ALICE, wrapped, U256::from(50), call("deposit()", &[])).expect("room");
    stage.pay(BOB, wrapped, U256::from(5), Bytes::new()).expect("room");
    stage.call(ALICE, wrapped, withdraw(20)).expect("room");

    assert_eq!(balance_of(&mut stage, wrapped, ALICE), U256::from(30));
    assert_eq!(balance_of(&mut stage, wrapped, BOB), U256::from(5));
    assert_eq!(ask(&mut stage, BOB, wrapped, call("totalSupply()", &[])).0, U256::from(35));
    let error = "InsufficientBalance(address,uint256,uint256)";
    assert_refused(&mut stage, ALICE, wrapped, withdraw(31), error);
}

#[test]
fn minted_tokens_are_numbered_from_one_and_owned() {
    let mut stage = stage();
    let nft = stage.create(OWNER, creation_code("Nft", &[])).expect("room");
    stage.call(ALICE, nft, call("mint()", &[])).expect("room");
    let (second, logs) = ask(&mut stage, BOB, nft, call("mint()", &[]));
    let topics = [
        keccak256("Transfer(address,address,uint256)"),
        B256::ZERO,
        BOB.into_word(),
        B256::with_last_byte(2),
    ];
    assert_eq!((second, logs[0].topics()), (U256::from(2), &topics[..]));

    let owner_of = |id: u64| call("ownerOf(uint256)", &[id.into()]);
    let move_first = |from: Address, to: Address| {
        call("safeTransferFrom(address,address,uint256)", &[from.into(), to.into(), 1.into()])
    };
    assert_eq!(ask(&mut stage, BOB, nft, owner_of(1)).0, U256::from_be_slice(ALICE.as_slice()));
    assert_eq!(balance_of(&mut stage, nft, ALICE), U256::ONE);
    assert_refused(&mut stage, BOB, nft, owner_of(2), "NoSuchToken(uint256)");
    assert_refused(&mut stage, BOB, nft, move_first(ALICE, BOB), "NotAllowed(address,uint256)");
    assert_refused(&mut stage, ALICE, nft, move_first(BOB, ALICE), "NotOwner(address,uint256)");
    stage.call(ALICE, nft, call("approve(address,uint256)", &[BOB.into(), 1.into()])).expect("room");
    stage.call(BOB, nft, move_first(ALICE, BOB)).expect("room");
    assert_eq!(ask(&mut stage, BOB, nft, owner_of(1)).0, U256::from_be_slice(BOB.as_slice()));
    assert_eq!(balance_of(&mut stage, nft, ALICE), U256::ZERO);
    assert_refused(&mut stage, ALICE, nft, move_first(BOB, ALICE), "NotAllowed(address,uint256)");
}

#[test]
fn a_payout_pays_all_or_none() {
    let mut stage = stage();
    let token = stage.create(OWNER, creation_code("DemoToken", &[100.into()])).expect("room");
    let payout = stage.create(OWNER, creation_code("Payout", &[])).expect("room");
    stage.call(OWNER, token, approval(payout)).expect("room");
    let to: &[Address] = &[ALICE, BOB];
    let pay =
        |amount: u64| call("pay(address,address[],uint256)", &[token.into(), to.into(), Value::from(amount)]);
    stage.call(OWNER, payout, pay(30)).expect("room");

    assert_eq!(balance_of(&mut stage, token, ALICE), U256::from(30));
    assert_eq!(balance_of(&mut stage, token, BOB), U256::from(30));
    assert_refused(&mut stage, OWNER, payout, pay(30), "InsufficientBalance(address,uint256,uint256)");
}

/// A market with `N - 1` pools between `N` tokens in a row; ALICE may sell the first one.
fn market<const N: usize>(stage: &mut Stage) -> (Market, [Address; N]) {
    let market = Market::create(stage, OWNER).expect("a committed factory");
    let tokens = std::array::from_fn(|_| {
        let token = stage.create(OWNER, creation_code("DemoToken", &[units(30).into()])).expect("room");
        market.approve(stage, OWNER, token).expect("room");
        token
    });
    for pair in tokens.windows(2) {
        market.create_pool(stage, PoolKey::of(pair[0], pair[1]), units(24)).expect("room");
    }
    stage.call(OWNER, tokens[0], transfer(ALICE, units(20))).expect("room");
    market.approve(stage, ALICE, tokens[0]).expect("room");
    (market, tokens)
}

/// What the first swap after [`market`] gives for `amount`, by the white paper's formulas at a price
/// of one and a liquidity of 10^24: rounding favours the pool at every step.
fn proceeds(amount: U256, zero_for_one: bool) -> U256 {
    let (liquidity, one): (U256, U256) = (units(24), U256::ONE << 96);
    let net = amount * U256::from(1_000_000 - FEE_TIER) / U256::from(1_000_000);
    if zero_for_one {
        // The price falls to L / (L / 1 + net), rounded up; token 1 leaves by its difference.
        let price = (liquidity * one).div_ceil(liquidity + net);
        liquidity * (one - price) / one
    } else {
        // The price rises by net / L, rounded down; token 0 leaves by the inverse's difference.
        let price = one + net * one / liquidity;
        liquidity * (price - one) / price
    }
}

#[test]
fn swaps_pay_what_the_formulas_of_uniswap_say() {
    let mut stage = stage();
    let (market, [one, other]) = market(&mut stage);
    let amount = units(18) + U256::from(123_456_789);
    stage.call(OWNER, other, transfer(ALICE, units(20))).expect("room");
    market.approve(&mut stage, ALICE, other).expect("room");
    for path in [[one, other], [other, one]] {
        let expected = proceeds(amount, path[0] < path[1]);
        let swap = Market::swap(&path, amount, expected, BOB);
        let (received, logs) = ask(&mut stage, ALICE, market.router, swap);
        assert_eq!(received, expected);
        let pool = market.pool(PoolKey::of(one, other));
        let transfers: Vec<_> =
            logs[..2].iter().map(|log| (log.address, log.topics()[1], log.topics()[2])).collect();
        assert_eq!(
            transfers,
            [(path[1], pool.into_word(), BOB.into_word()), (path[0], ALICE.into_word(), pool.into_word())]
        );
        assert_eq!(U256::from_be_slice(&logs[0].data.data), expected);
        assert_eq!(U256::from_be_slice(&logs[1].data.data), amount);

        let greedy = Market::swap(&path, amount, expected + U256::ONE, BOB);
        assert_refused(&mut stage, ALICE, market.router, greedy, "TooLittleReceived(uint256,uint256)");
    }
}

#[test]
fn a_swap_of_two_pools_leaves_nothing_with_the_router() {
    let mut stage = stage();
    let (market, path) = market::<3>(&mut stage);
    let amount = units(18);
    let between = proceeds(amount, path[0] < path[1]);
    let expected = proceeds(between, path[1] < path[2]);
    stage.call(ALICE, market.router, Market::swap(&path, amount, expected, BOB)).expect("room");

    assert_eq!(balance_of(&mut stage, path[2], BOB), expected);
    for token in path {
        assert_eq!(balance_of(&mut stage, token, market.router), U256::ZERO);
    }
}

#[test]
fn the_router_refuses_what_it_must() {
    let mut stage = stage();
    let (market, path) = market::<2>(&mut stage);
    let router = market.router;
    let key = PoolKey::of(path[0], path[1]);
    let payment = abi::encode(&[key.token0.into(), key.token1.into(), FEE_TIER.into(), ALICE.into()]);
    let steal = [1.into(), 0.into(), Value::Bytes(payment.into())];
    for callback in
        ["uniswapV3SwapCallback(int256,int256,bytes)", "uniswapV3MintCallback(uint256,uint256,bytes)"]
    {
        assert_refused(&mut stage, BOB, router, call(callback, &steal), "NotAPool(address)");
    }
    let swap = |path: &[Address], deadline: u64| {
        let (amount, least): (Value, Value) = (units(18).into(), 0.into());
        let arguments = [path.into(), FEE_TIER.into(), amount, least, BOB.into(), deadline.into()];
        call("swap(address[],uint24,uint256,uint256,address,uint256)", &arguments)
    };
    assert_refused(&mut stage, ALICE, router, swap(&path, 1), "Expired(uint256)");
    assert_refused(&mut stage, ALICE, router, swap(&path[..1], u64::MAX), "PathTooShort()");
    let error = "InsufficientAllowance(address,uint256,uint256)";
    assert_refused(&mut stage, BOB, router, swap(&path, u64::MAX), error);
}

#[test]
fn a_stage_with_a_failing_call_has_no_state() {
    let mut stage = stage();
    let token = stage.create(OWNER, creation_code("DemoToken", &[1.into()])).expect("room");
    stage.call(ALICE, token, transfer(BOB, U256::ONE)).expect("room");

    let error = stage.finish().expect_err("ALICE owns none").to_string();
    assert!(error.contains(&ALICE.to_string()), "{error}");
}
