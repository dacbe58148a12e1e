// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IErc20} from "./Erc20.sol";

/// What is called of a Uniswap V3 pool.
interface IPool {
    function mint(address recipient, int24 tickLower, int24 tickUpper, uint128 amount, bytes calldata payment)
        external
        returns (uint256 amount0, uint256 amount1);

    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata payment
    ) external returns (int256 amount0, int256 amount1);
}

/// Swaps through Uniswap V3 pools and pays them out of the caller's allowances. It keeps no state:
/// a callback is from a pool of the factory, or it is refused, and a pool calls back none but its
/// own caller.
contract Router {
    /// Next to the lowest and to the highest price that pools know: no limit.
    uint160 private constant LOWEST_PRICE = 4295128740;
    uint160 private constant HIGHEST_PRICE = 1461446703485210103287273052203988822378723970341;

    address public immutable factory;
    bytes32 public immutable poolInitCodeHash;

    /// What a callback is told: which pool it must come from, and who pays.
    struct Payment {
        address token0;
        address token1;
        uint24 fee;
        address payer;
    }

    error Expired(uint256 deadline);
    error PathTooShort();
    error AmountTooLarge(uint256 amount);
    error TooLittleReceived(uint256 received, uint256 required);
    error NotAPool(address caller);
    error PaymentFailed(address token);

    constructor(address factory_, bytes32 poolInitCodeHash_) {
        factory = factory_;
        poolInitCodeHash = poolInitCodeHash_;
    }

    /// Sells exactly `amountIn` of the first token of `path` for the last one, by one pool of tier
    /// `fee` between each token and the next.
    function swap(
        address[] calldata path,
        uint24 fee,
        uint256 amountIn,
        uint256 amountOutMinimum,
        address recipient,
        uint256 deadline
    ) external returns (uint256 amountOut) {
        if (block.timestamp > deadline) revert Expired(deadline);
        if (path.length < 2) revert PathTooShort();
        amountOut = amountIn;
        address payer = msg.sender;
        for (uint256 next = 1; next < path.length; ++next) {
            address receiver = next + 1 == path.length ? recipient : address(this);
            amountOut = _swap(path[next - 1], path[next], fee, amountOut, payer, receiver);
            payer = address(this);
        }
        if (amountOut < amountOutMinimum) revert TooLittleReceived(amountOut, amountOutMinimum);
    }

    /// Adds liquidity between two ticks, owned and paid by the caller.
    function addLiquidity(
        address token0,
        address token1,
        uint24 fee,
        int24 tickLower,
        int24 tickUpper,
        uint128 liquidity
    ) external returns (uint256 amount0, uint256 amount1) {
        bytes memory payment = abi.encode(Payment(token0, token1, fee, msg.sender));
        IPool pool = IPool(_pool(token0, token1, fee));
        return pool.mint(msg.sender, tickLower, tickUpper, liquidity, payment);
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata encoded) external {
        Payment memory payment = _checked(encoded);
        if (amount0 > 0) _pay(payment.token0, payment.payer, uint256(amount0));
        if (amount1 > 0) _pay(payment.token1, payment.payer, uint256(amount1));
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata encoded) external {
        Payment memory payment = _checked(encoded);
        if (amount0 > 0) _pay(payment.token0, payment.payer, amount0);
        if (amount1 > 0) _pay(payment.token1, payment.payer, amount1);
    }

    function _swap(
        address tokenIn,
        address tokenOut,
        uint24 fee,
        uint256 amountIn,
        address payer,
        address receiver
    ) private returns (uint256) {
        if (amountIn > uint256(type(int256).max)) revert AmountTooLarge(amountIn);
        bool zeroForOne = tokenIn < tokenOut;
        Payment memory payment =
            zeroForOne ? Payment(tokenIn, tokenOut, fee, payer) : Payment(tokenOut, tokenIn, fee, payer);
        return _sell(payment, zeroForOne, int256(amountIn), receiver);
    }

    function _sell(Payment memory payment, bool zeroForOne, int256 amountIn, address receiver)
        private
        returns (uint256)
    {
        IPool pool = IPool(_pool(payment.token0, payment.token1, payment.fee));
        uint160 limit = zeroForOne ? LOWEST_PRICE : HIGHEST_PRICE;
        (int256 amount0, int256 amount1) =
            pool.swap(receiver, zeroForOne, amountIn, limit, abi.encode(payment));
        return uint256(-(zeroForOne ? amount1 : amount0));
    }

    function _checked(bytes calldata encoded) private view returns (Payment memory payment) {
        payment = abi.decode(encoded, (Payment));
        if (msg.sender != _pool(payment.token0, payment.token1, payment.fee)) revert NotAPool(msg.sender);
    }

    /// Where the factory's CREATE2 puts the pool.
    function _pool(address token0, address token1, uint24 fee) private view returns (address) {
        bytes32 salt = keccak256(abi.encode(token0, token1, fee));
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), factory, salt, poolInitCodeHash));
        return address(uint160(uint256(hash)));
    }

    /// Pays the pool that is calling back.
    function _pay(address token, address payer, uint256 amount) private {
        bool paid = payer == address(this)
            ? IErc20(token).transfer(msg.sender, amount)
            : IErc20(token).transferFrom(payer, msg.sender, amount);
        if (!paid) revert PaymentFailed(token);
    }
}
