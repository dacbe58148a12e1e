// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Erc20} from "./Erc20.sol";

/// Ether as an ERC-20 token, one to one.
contract WrappedEther is Erc20 {
    string public constant name = "Wrapped Ether";
    string public constant symbol = "WETH";
    uint8 public constant decimals = 18;

    event Deposit(address indexed account, uint256 value);
    event Withdrawal(address indexed account, uint256 value);

    error PaymentRefused(address account, uint256 value);

    function totalSupply() external view override returns (uint256) {
        return address(this).balance;
    }

    receive() external payable {
        deposit();
    }

    function deposit() public payable {
        balanceOf[msg.sender] += msg.value;
        emit Deposit(msg.sender, msg.value);
    }

    function withdraw(uint256 value) external {
        uint256 available = balanceOf[msg.sender];
        if (available < value) revert InsufficientBalance(msg.sender, available, value);
        unchecked {
            balanceOf[msg.sender] = available - value;
        }
        emit Withdrawal(msg.sender, value);
        (bool paid, ) = msg.sender.call{value: value}("");
        if (!paid) revert PaymentRefused(msg.sender, value);
    }
}
