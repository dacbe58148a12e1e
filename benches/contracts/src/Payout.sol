// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IErc20} from "./Erc20.sol";

/// Pays many accounts out of the caller's allowance, as exchanges and airdrops do.
contract Payout {
    error PaymentFailed(address account);

    /// The same amount of `token` to each of `accounts`.
    function pay(IErc20 token, address[] calldata accounts, uint256 amount) external {
        for (uint256 index = 0; index < accounts.length; ++index) {
            address account = accounts[index];
            if (!token.transferFrom(msg.sender, account, amount)) revert PaymentFailed(account);
        }
    }
}
