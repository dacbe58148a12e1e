// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface IErc721Receiver {
    function onERC721Received(address operator, address from, uint256 id, bytes calldata extra)
        external
        returns (bytes4);
}

/// An ERC-721 collection that everybody may mint from. Identities come from one counter, so every
/// mint of a block depends on the one before.
contract Nft {
    string public constant name = "Parallel Demo Collectible";
    string public constant symbol = "PDC";

    uint256 public minted;
    mapping(address owner => uint256 count) private _count;
    mapping(uint256 id => address owner) private _owner;
    mapping(uint256 id => address operator) private _approved;
    mapping(address owner => mapping(address operator => bool approved)) public isApprovedForAll;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);
    event Approval(address indexed owner, address indexed operator, uint256 indexed id);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);

    error NoSuchToken(uint256 id);
    error NotOwner(address account, uint256 id);
    error NotAllowed(address caller, uint256 id);
    error InvalidReceiver(address account);

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        // ERC-165 and ERC-721.
        return interfaceId == 0x01ffc9a7 || interfaceId == 0x80ac58cd;
    }

    function ownerOf(uint256 id) public view returns (address owner) {
        owner = _owner[id];
        if (owner == address(0)) revert NoSuchToken(id);
    }

    function balanceOf(address owner) external view returns (uint256) {
        if (owner == address(0)) revert InvalidReceiver(owner);
        return _count[owner];
    }

    function getApproved(uint256 id) external view returns (address) {
        ownerOf(id);
        return _approved[id];
    }

    /// Gives the caller the next token.
    function mint() external returns (uint256 id) {
        id = ++minted;
        unchecked {
            ++_count[msg.sender];
        }
        _owner[id] = msg.sender;
        emit Transfer(address(0), msg.sender, id);
    }

    function approve(address operator, uint256 id) external {
        address owner = ownerOf(id);
        if (msg.sender != owner && !isApprovedForAll[owner][msg.sender]) revert NotAllowed(msg.sender, id);
        _approved[id] = operator;
        emit Approval(owner, operator, id);
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function transferFrom(address from, address to, uint256 id) public {
        address owner = ownerOf(id);
        if (owner != from) revert NotOwner(from, id);
        if (to == address(0)) revert InvalidReceiver(to);
        if (msg.sender != owner && msg.sender != _approved[id] && !isApprovedForAll[owner][msg.sender]) {
            revert NotAllowed(msg.sender, id);
        }
        delete _approved[id];
        unchecked {
            --_count[from];
            ++_count[to];
        }
        _owner[id] = to;
        emit Transfer(from, to, id);
    }

    function safeTransferFrom(address from, address to, uint256 id) external {
        safeTransferFrom(from, to, id, "");
    }

    function safeTransferFrom(address from, address to, uint256 id, bytes memory extra) public {
        transferFrom(from, to, id);
        if (to.code.length == 0) return;
        bytes4 answer = IErc721Receiver(to).onERC721Received(msg.sender, from, id, extra);
        if (answer != IErc721Receiver.onERC721Received.selector) revert InvalidReceiver(to);
    }
}
