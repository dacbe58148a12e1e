package main

import (
	"encoding/hex"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// answer is one input and what geth says to it. Gas figures are in the order of ruleSets.
type answer struct {
	Raw         string   `json:"raw"`
	Error       string   `json:"error,omitempty"`
	Hash        string   `json:"hash,omitempty"`
	SigningHash string   `json:"signingHash,omitempty"`
	Sender      string   `json:"sender,omitempty"`
	SenderError string   `json:"senderError,omitempty"`
	Sidecar     *int     `json:"sidecar,omitempty"`
	Intrinsic   []string `json:"intrinsic,omitempty"`
	Floor       []string `json:"floor,omitempty"`
	Wide        []string `json:"wide,omitempty"`
}

var signer = types.NewPragueSigner(big.NewInt(1))
var frontier = types.FrontierSigner{}

// ruleSets are those of Frontier, Homestead, Istanbul, Berlin, Shanghai, Prague and Amsterdam.
func ruleSets() []params.Rules {
	var out []params.Rules
	base := params.Rules{}
	out = append(out, base) // Frontier
	base.IsHomestead = true
	out = append(out, base) // Homestead
	base.IsIstanbul = true
	out = append(out, base)
	base.IsBerlin = true
	out = append(out, base)
	base.IsLondon = true
	base.IsShanghai = true
	out = append(out, base)
	base.IsPrague = true
	out = append(out, base)
	base.IsOsaka = true
	base.IsAmsterdam = true
	out = append(out, base)
	return out
}

// examine asks geth.
func examine(raw []byte) answer {
	c := answer{Raw: hex.EncodeToString(raw)}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		c.Error = err.Error()
		return c
	}
	c.Hash = tx.Hash().Hex()
	v, rr, ss := tx.RawSignatureValues()
	for _, f := range []struct {
		name string
		x    *big.Int
		bits int
	}{{"fee_cap", tx.GasFeeCap(), 256}, {"tip_cap", tx.GasTipCap(), 256}, {"chain_id", tx.ChainId(), 64}, {"v", v, 64}, {"r", rr, 256}, {"s", ss, 256}, {"value", tx.Value(), 256}} {
		if f.x.BitLen() > f.bits {
			c.Wide = append(c.Wide, f.name)
		}
	}
	if s := tx.BlobTxSidecar(); s != nil {
		v := int(s.Version)
		c.Sidecar = &v
	}
	from, err := types.Sender(signer, &tx)
	if err != nil {
		c.SenderError = err.Error()
		return c
	}
	c.Sender = from.Hex()
	if tx.Protected() {
		c.SigningHash = signer.Hash(&tx).Hex()
	} else {
		c.SigningHash = frontier.Hash(&tx).Hex()
	}
	value, over := uint256.FromBig(tx.Value())
	if over {
		return c
	}
	for _, r := range ruleSets() {
		g, err := core.IntrinsicGas(tx.Data(), tx.AccessList(), tx.SetCodeAuthorizations(), from, tx.To(), value, r)
		if err != nil {
			c.Intrinsic = append(c.Intrinsic, err.Error())
		} else {
			c.Intrinsic = append(c.Intrinsic, strconv.FormatUint(g, 10))
		}
		f, err := core.FloorDataGas(r, from, tx.To(), value, tx.Data(), tx.AccessList())
		if !r.IsPrague {
			f, err = 0, nil
		}
		if err != nil {
			c.Floor = append(c.Floor, err.Error())
		} else {
			c.Floor = append(c.Floor, strconv.FormatUint(f, 10))
		}
	}
	return c
}
