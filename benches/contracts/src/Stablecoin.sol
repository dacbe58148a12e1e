// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Erc20} from "./Erc20.sol";

/// A token as the large stablecoins are: behind a proxy, with a header that every transfer reads
/// (who governs it, whether it is paused) and a list of blocked accounts.
contract Stablecoin is Erc20 {
    string public constant name = "Parallel Dollar";
    string public constant symbol = "PUSD";
    uint8 public constant decimals = 6;

    address public governor;
    bool public paused;
    uint256 public override totalSupply;
    mapping(address account => bool blocked) public isBlocked;

    event PauseChanged(bool paused);
    event BlockChanged(address indexed account, bool blocked);

    error AlreadyInitialized();
    error NotGovernor(address caller);
    error Paused();
    error Blocked(address account);

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender);
        _;
    }

    /// Takes the place of a constructor behind a proxy: the first caller's choice holds.
    function initialize(address chosen, uint256 supply) external {
        if (governor != address(0)) revert AlreadyInitialized();
        governor = chosen;
        totalSupply = supply;
        balanceOf[chosen] = supply;
        emit Transfer(address(0), chosen, supply);
    }

    function setPaused(bool value) external onlyGovernor {
        paused = value;
        emit PauseChanged(value);
    }

    function setBlocked(address account, bool value) external onlyGovernor {
        isBlocked[account] = value;
        emit BlockChanged(account, value);
    }

    function _move(address from, address to, uint256 value) internal override {
        if (paused) revert Paused();
        if (isBlocked[from]) revert Blocked(from);
        if (isBlocked[to]) revert Blocked(to);
        super._move(from, to, value);
    }
}
