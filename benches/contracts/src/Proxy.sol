// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Runs another contract's code on its own storage. The implementation stands in the slot of
/// ERC-1967, which every call reads; it is set once.
contract Proxy {
    bytes32 private constant IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    event Upgraded(address indexed implementation);

    /// `setup` is the first call that the implementation gets.
    constructor(address implementation, bytes memory setup) {
        bytes32 slot = IMPLEMENTATION;
        assembly ("memory-safe") {
            sstore(slot, implementation)
        }
        emit Upgraded(implementation);
        (bool done, bytes memory reason) = implementation.delegatecall(setup);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    fallback() external payable {
        bytes32 slot = IMPLEMENTATION;
        // Nothing of Solidity runs after this block, so all memory may be overwritten.
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), sload(slot), 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(done) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}
