//! A block as mainnet has had them from 2023 to 2026, sixty times as long.
//!
//! By the number of transactions, half of them are plain transfers and a quarter transfers of
//! tokens, mostly of one stablecoin; what burns the gas is the rest: swaps in a few pools with
//! wrapped ether (the hottest takes a third of them), through one pool, two, or there and back
//! again; mints, approvals, payouts to many accounts, creations. Three in a hundred fail. Exchanges send
//! runs of transfers from one account, and their deposit addresses are what many others pay to.
//!
//! Every transaction's status is known when it is drawn: senders own far more than they spend, pools
//! hold far more than is swapped.

mod acts;
mod world;

use std::collections::HashMap;

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, Bytes, U256};
use parallelpool_core::state::memory::MemoryState;

use super::nft::{MINT_GAS, mint_call};
use super::token::transfer;
use super::transfers::{TRANSFER_GAS, ether};
use super::uniswap::SWAP_GAS;
use super::{BenchBlock, Draft, Making, Numbers, Signer, draft};
use crate::contracts::{Market, Stage, abi, approval, units};
use acts::{Act, CREATION_GAS, Failing, Route, TOKEN_GAS, TOO_LITTLE_TOKEN_GAS};
use world::World;

/// Transactions that make one gigagas.
const GIGAGAS: usize = 14_983;

/// An account that sends in one role.
#[derive(Clone)]
struct Sender<'a> {
    signer: &'a Signer,
    next_nonce: u64,
    /// What its role deals in.
    tokens: Vec<Address>,
}

/// A block being drawn.
struct Play<'a> {
    world: World,
    stage: Stage,
    numbers: Numbers,
    accounts: &'a [Signer],
    unused: std::slice::Iter<'a, Signer>,
    by_role: HashMap<Act, Vec<Sender<'a>>>,
    exchanges: Vec<Sender<'a>>,
    deposits: Vec<Address>,
    drafts: Vec<Draft<'a>>,
    succeeds: Vec<bool>,
}

/// The block alone.
pub(super) fn mainnet_like(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    Ok(with_statuses(making)?.0)
}

/// The block, and for each transaction whether it succeeds.
fn with_statuses(making: &Making<'_>) -> Result<(Vec<BenchBlock>, Vec<bool>), CoreError> {
    let count = making.count(GIGAGAS);
    let accounts = making.accounts("sender", count);
    let (exchanges, creator) = (making.accounts("exchange", 6), making.accounts("creator", 1));
    let mut state = MemoryState::new();
    making.fund(&mut state, accounts.iter().chain(&exchanges), ether() * units(6));
    making.fund(&mut state, &creator, ether() * units(18));
    let mut play = Play::new(state, creator[0].address, &accounts, &exchanges, making.numbers("mixed"))?;
    while play.drafts.len() < count {
        play.act()?;
    }
    // The last run may be longer than there is room for.
    play.drafts.truncate(count);
    play.succeeds.truncate(count);
    let blocks = making.block(play.stage.finish()?, play.drafts)?;
    Ok((blocks, play.succeeds))
}

impl<'a> Play<'a> {
    fn new(
        state: MemoryState,
        creator: Address,
        accounts: &'a [Signer],
        exchanges: &'a [Signer],
        mut numbers: Numbers,
    ) -> Result<Self, CoreError> {
        let mut stage = Stage::new(state)?;
        let world = World::create(&mut stage, creator)?;
        for exchange in exchanges {
            world.give(&mut stage, world.tokens[0], exchange.address)?;
            stage.call(exchange.address, world.tokens[0], approval(world.payout))?;
        }
        let exchanges = exchanges
            .iter()
            .map(|signer| Sender { signer, next_nonce: stage.nonce(&signer.address), tokens: Vec::new() })
            .collect();
        let deposits = (0..8).map(|_| numbers.address()).collect();
        Ok(Self {
            world,
            stage,
            numbers,
            accounts,
            unused: accounts.iter(),
            by_role: HashMap::new(),
            exchanges,
            deposits,
            drafts: Vec::new(),
            succeeds: Vec::new(),
        })
    }

    /// Draws the next transaction, or a run of them.
    fn act(&mut self) -> Result<(), CoreError> {
        let act = Act::draw(&mut self.numbers);
        match act {
            Act::Payment if self.numbers.below(100) < 4 => self.payment_run(),
            Act::Payout => self.payout(),
            _ => self.act_as_one(act)?,
        }
        Ok(())
    }

    /// An exchange pays out withdrawals one after another.
    fn payment_run(&mut self) {
        let exchange = self.pick_exchange();
        for _ in 0..2 + self.numbers.below(11) {
            let to = self.recipient();
            let value = self.amount();
            let sender = &mut self.exchanges[exchange];
            self.drafts.push(sender.send(Some(to), value, Bytes::new(), TRANSFER_GAS));
            self.succeeds.push(true);
        }
    }

    /// An exchange pays out a token to many at once.
    fn payout(&mut self) {
        let exchange = self.pick_exchange();
        let number = 5 + self.numbers.below(40);
        let to: Vec<Address> = (0..number).map(|_| self.recipient()).collect();
        let amount = self.amount();
        let pay = [self.world.tokens[0].into(), to.as_slice().into(), amount.into()];
        let data = abi::call("pay(address,address[],uint256)", &pay);
        // Of each payment, some 20,000 fill the recipient's slot.
        let gas = 120_000 + 50_000 * number;
        self.drafts.push(self.exchanges[exchange].send(Some(self.world.payout), U256::ZERO, data, gas));
        self.succeeds.push(true);
    }

    /// One transaction of a sender in its role. Long because it is the table of all acts.
    fn act_as_one(&mut self, act: Act) -> Result<(), CoreError> {
        let mut sender = self.take_sender(act)?;
        let amount = self.amount();
        let (none, address) = (U256::ZERO, sender.signer.address);
        let (to, value, data, gas) = match act {
            Act::Payment => (Some(self.recipient()), amount, Bytes::new(), TRANSFER_GAS),
            Act::TokenTransfer => {
                (Some(sender.tokens[0]), none, transfer(self.recipient(), amount), TOKEN_GAS)
            }
            Act::Swap(route) => {
                let data = Market::swap(&sender.tokens, amount, U256::ONE, address);
                (Some(self.world.market.router), none, data, route.gas())
            }
            Act::Approval => {
                let token = self.world.moved_token(&mut self.numbers);
                (Some(token), none, approval(self.world.market.router), TOKEN_GAS)
            }
            Act::Wrapping if self.numbers.below(2) == 0 => {
                (Some(self.world.wrapped), amount, abi::call("deposit()", &[]), TOKEN_GAS)
            }
            Act::Wrapping => {
                let data = abi::call("withdraw(uint256)", &[amount.into()]);
                (Some(self.world.wrapped), none, data, TOKEN_GAS)
            }
            Act::Mint => (Some(self.world.nft), none, mint_call(), MINT_GAS),
            Act::Creation if self.numbers.below(2) == 0 => (None, none, world::plain_token(), CREATION_GAS),
            Act::Creation => {
                (None, none, world::stablecoin(self.world.implementation, address), CREATION_GAS)
            }
            Act::Failure(Failing::Swap) => {
                let data = Market::swap(&sender.tokens, amount, more_than_there_is(), address);
                (Some(self.world.market.router), none, data, SWAP_GAS)
            }
            Act::Failure(Failing::TokenTransfer) => {
                // With little gas the transfer does not even find out that there is too little.
                let gas = if self.numbers.below(4) == 0 { TOO_LITTLE_TOKEN_GAS } else { TOKEN_GAS };
                (Some(sender.tokens[0]), none, transfer(self.recipient(), more_than_there_is()), gas)
            }
            Act::Payout => unreachable!("exchanges make payouts"),
        };
        self.drafts.push(sender.send(to, value, data, gas));
        self.succeeds.push(!matches!(act, Act::Failure(_)));
        self.by_role.entry(act).or_default().push(sender);
        Ok(())
    }

    /// A sender for this act: now and then one that has sent before, otherwise a new one with all
    /// that the act needs.
    fn take_sender(&mut self, act: Act) -> Result<Sender<'a>, CoreError> {
        let known = self.by_role.entry(act).or_default();
        if !known.is_empty() && self.numbers.below(100) < 20 {
            let index = self.numbers.below(known.len() as u64) as usize;
            return Ok(known.swap_remove(index));
        }
        let signer = self.unused.next().expect("an account for each transaction");
        let tokens = self.tokens_for(act);
        let owned = match act {
            Act::TokenTransfer | Act::Swap(_) | Act::Failure(Failing::Swap) => tokens.first().copied(),
            Act::Wrapping => Some(self.world.wrapped),
            _ => None,
        };
        if let Some(token) = owned {
            self.world.give(&mut self.stage, token, signer.address)?;
            if tokens.len() > 1 {
                self.world.market.approve(&mut self.stage, signer.address, token)?;
            }
        }
        Ok(Sender { signer, next_nonce: self.stage.nonce(&signer.address), tokens })
    }

    /// A token to transfer, or a path to swap along.
    fn tokens_for(&mut self, act: Act) -> Vec<Address> {
        let (world, numbers) = (&self.world, &mut self.numbers);
        let ether = world.wrapped;
        match act {
            Act::TokenTransfer | Act::Failure(Failing::TokenTransfer) => vec![world.moved_token(numbers)],
            Act::Swap(Route::Direct) | Act::Failure(Failing::Swap) => {
                let token = world.traded_token(numbers);
                if numbers.below(2) == 0 { vec![ether, token] } else { vec![token, ether] }
            }
            Act::Swap(route) => {
                let one = world.traded_token(numbers);
                let mut other = world.traded_token(numbers);
                while other == one {
                    other = world.traded_token(numbers);
                }
                match route {
                    Route::Circle => vec![ether, one, ether, other, ether],
                    _ => vec![one, ether, other],
                }
            }
            _ => Vec::new(),
        }
    }

    fn pick_exchange(&mut self) -> usize {
        self.numbers.below(self.exchanges.len() as u64) as usize
    }

    /// Whom a transfer goes to: a deposit address, an account that exists, or a new one.
    fn recipient(&mut self) -> Address {
        match self.numbers.below(100) {
            0..22 => self.deposits[self.numbers.below(self.deposits.len() as u64) as usize],
            22..70 => self.accounts[self.numbers.below(self.accounts.len() as u64) as usize].address,
            _ => self.numbers.address(),
        }
    }

    /// Of ether or of a token, in its smallest units.
    fn amount(&mut self) -> U256 {
        units(15) + U256::from(self.numbers.below(1_000_000_000_000_000))
    }
}

impl<'a> Sender<'a> {
    fn send(&mut self, to: Option<Address>, value: U256, data: Bytes, gas_limit: u64) -> Draft<'a> {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        draft(self.signer, nonce, to, value, data, gas_limit)
    }
}

/// Of any token.
fn more_than_there_is() -> U256 {
    units(40)
}

#[cfg(test)]
mod tests {
    use parallelpool_core::workers::Workers;

    use super::*;
    use crate::baseline::PlainBlock;
    use crate::workloads::DEFAULT_SEED;

    #[test]
    fn every_transaction_ends_as_it_was_drawn() {
        let workers = Workers::new(2).expect("two threads");
        for seed in [DEFAULT_SEED, 1, 2] {
            let making = Making { scale: 0.07, seed, ..Making::new(&workers) };
            let (blocks, expected) = with_statuses(&making).expect("a committed factory");
            let outcome = PlainBlock::new(&blocks[0]).execute().expect("a valid block");
            let surprises: Vec<usize> = (0..)
                .zip(outcome.receipts.iter().zip(&expected))
                .filter(|(_, (receipt, succeeds))| receipt.success != **succeeds)
                .map(|(index, _)| index)
                .collect();
            let failed = expected.iter().filter(|succeeds| !**succeeds).count();

            assert_eq!(surprises, [0; 0], "seed {seed}");
            assert!((failed as f64 / expected.len() as f64 - 0.032).abs() < 0.015, "{failed} fail");
        }
    }
}
