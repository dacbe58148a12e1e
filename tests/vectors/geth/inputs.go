package main

import (
	"math/big"
	"math/rand"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/holiman/uint256"
)

var key, _ = crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")

func addr(r *rand.Rand) common.Address { var a common.Address; r.Read(a[:]); return a }
func hash(r *rand.Rand) common.Hash {
	var a common.Hash
	r.Read(a[:])
	return a
}
func bigr(r *rand.Rand) *big.Int {
	b := make([]byte, r.Intn(20))
	r.Read(b)
	return new(big.Int).SetBytes(b)
}
func u256(r *rand.Rand) *uint256.Int { x, _ := uint256.FromBig(bigr(r)); return x }
func data(r *rand.Rand) []byte {
	n := []int{0, 1, 2, 4, 36, 54, 55, 56, 57, 68, 100, 255, 256, 300, 700}[r.Intn(15)]
	b := make([]byte, n)
	r.Read(b)
	for i := range b {
		if r.Intn(3) == 0 {
			b[i] = 0
		}
	}
	return b
}
func list(r *rand.Rand) types.AccessList {
	var l types.AccessList
	for i := r.Intn(4); i > 0; i-- {
		t := types.AccessTuple{Address: addr(r)}
		for j := r.Intn(4); j > 0; j-- {
			t.StorageKeys = append(t.StorageKeys, hash(r))
		}
		l = append(l, t)
	}
	return l
}
func to(r *rand.Rand) *common.Address {
	switch r.Intn(4) {
	case 0:
		return nil
	case 1:
		a := crypto.PubkeyToAddress(key.PublicKey)
		return &a
	}
	a := addr(r)
	return &a
}
func nonce(r *rand.Rand) uint64 { return r.Uint64() >> uint(r.Intn(64)) }

// signedTransaction makes and signs a transaction of any type; blobs adds a whole blob to a sidecar.
func signedTransaction(r *rand.Rand, blobs bool) []byte {
	var inner types.TxData
	var s types.Signer = signer
	switch r.Intn(6) {
	case 0:
		inner = &types.LegacyTx{Nonce: nonce(r), GasPrice: bigr(r), Gas: nonce(r), To: to(r), Value: bigr(r), Data: data(r)}
	case 1:
		s = types.HomesteadSigner{}
		inner = &types.LegacyTx{Nonce: nonce(r), GasPrice: bigr(r), Gas: nonce(r), To: to(r), Value: bigr(r), Data: data(r)}
	case 2:
		inner = &types.AccessListTx{ChainID: big.NewInt(1), Nonce: nonce(r), GasPrice: bigr(r), Gas: nonce(r), To: to(r), Value: bigr(r), Data: data(r), AccessList: list(r)}
	case 3:
		inner = &types.DynamicFeeTx{ChainID: big.NewInt(1), Nonce: nonce(r), GasTipCap: bigr(r), GasFeeCap: bigr(r), Gas: nonce(r), To: to(r), Value: bigr(r), Data: data(r), AccessList: list(r)}
	case 4:
		b := &types.BlobTx{ChainID: uint256.NewInt(1), Nonce: nonce(r), GasTipCap: u256(r), GasFeeCap: u256(r), Gas: nonce(r), To: addr(r), Value: u256(r), Data: data(r), AccessList: list(r), BlobFeeCap: u256(r)}
		for i := r.Intn(4); i > 0; i-- {
			b.BlobHashes = append(b.BlobHashes, hash(r))
		}
		if k := r.Intn(3); k > 0 {
			sc := &types.BlobTxSidecar{Version: byte(k - 1)}
			if blobs {
				var bl kzg4844.Blob
				r.Read(bl[:100])
				sc.Blobs = append(sc.Blobs, bl)
			}
			for i := r.Intn(3); i > 0; i-- {
				var c kzg4844.Commitment
				var p kzg4844.Proof
				r.Read(c[:])
				r.Read(p[:])
				sc.Commitments = append(sc.Commitments, c)
				sc.Proofs = append(sc.Proofs, p)
			}
			b.Sidecar = sc
		}
		inner = b
	case 5:
		b := &types.SetCodeTx{ChainID: uint256.NewInt(1), Nonce: nonce(r), GasTipCap: u256(r), GasFeeCap: u256(r), Gas: nonce(r), To: addr(r), Value: u256(r), Data: data(r), AccessList: list(r)}
		for i := r.Intn(4); i > 0; i-- {
			a, _ := types.SignSetCode(key, types.SetCodeAuthorization{ChainID: *uint256.NewInt(uint64(r.Intn(2))), Address: addr(r), Nonce: nonce(r)})
			b.AuthList = append(b.AuthList, a)
		}
		inner = b
	}
	tx := types.MustSignNewTx(key, s, inner)
	raw, err := tx.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return raw
}
