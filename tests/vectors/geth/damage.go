package main

import "math/rand"

// node is an RLP item that can be made wrong: raw, where set, stands for the whole encoding.
type node struct {
	list bool
	kids []*node
	str  []byte
	raw  []byte
}

func parse(b []byte) (*node, []byte) {
	k := b[0]
	switch {
	case k < 0x80:
		return &node{str: b[:1]}, b[1:]
	case k < 0xb8:
		n := int(k - 0x80)
		return &node{str: b[1 : 1+n]}, b[1+n:]
	case k < 0xc0:
		ll := int(k - 0xb7)
		n := 0
		for _, x := range b[1 : 1+ll] {
			n = n<<8 | int(x)
		}
		return &node{str: b[1+ll : 1+ll+n]}, b[1+ll+n:]
	case k < 0xf8:
		n := int(k - 0xc0)
		return plist(b[1 : 1+n]), b[1+n:]
	default:
		ll := int(k - 0xf7)
		n := 0
		for _, x := range b[1 : 1+ll] {
			n = n<<8 | int(x)
		}
		return plist(b[1+ll : 1+ll+n]), b[1+ll+n:]
	}
}
func plist(b []byte) *node {
	n := &node{list: true}
	for len(b) > 0 {
		var k *node
		k, b = parse(b)
		n.kids = append(n.kids, k)
	}
	return n
}
func head(off byte, n int) []byte {
	if n < 56 {
		return []byte{off + byte(n)}
	}
	var s []byte
	for x := n; x > 0; x >>= 8 {
		s = append([]byte{byte(x)}, s...)
	}
	return append([]byte{off + 55 + byte(len(s))}, s...)
}
func (n *node) enc() []byte {
	if n.raw != nil {
		return n.raw
	}
	if n.list {
		var c []byte
		for _, k := range n.kids {
			c = append(c, k.enc()...)
		}
		return append(head(0xc0, len(c)), c...)
	}
	if len(n.str) == 1 && n.str[0] < 0x80 {
		return n.str
	}
	return append(head(0x80, len(n.str)), n.str...)
}
func all(n *node, out *[]*node) {
	*out = append(*out, n)
	for _, k := range n.kids {
		all(k, out)
	}
}
func pad(b []byte, n int) []byte { return append(make([]byte, n), b...) }

// damage flips, drops and inserts bytes, or puts wrong elements into the tree.
func damage(r *rand.Rand, raw []byte) []byte {
	raw = append([]byte{}, raw...)
	if r.Intn(4) == 0 {
		for i := 1 + r.Intn(2); i > 0 && len(raw) > 0; i-- {
			p := r.Intn(len(raw))
			if r.Intn(2) == 0 && len(raw) > 12 {
				p = r.Intn(12)
			}
			switch r.Intn(5) {
			case 0:
				raw[p] = byte(r.Intn(256))
			case 1:
				raw = append(raw[:p], raw[p+1:]...)
			case 2:
				raw = append(raw[:p], append([]byte{byte(r.Intn(256))}, raw[p:]...)...)
			case 3:
				raw = raw[:p]
			case 4:
				raw = append(raw, byte(r.Intn(256)))
			}
		}
		return raw
	}
	typ := raw[:0]
	body := raw
	if raw[0] < 0x80 {
		typ = append([]byte{}, raw[:1]...)
		body = raw[1:]
	}
	tree, _ := parse(body)
	for i := 1 + r.Intn(5)/4; i > 0; i-- {
		var ns []*node
		all(tree, &ns)
		n := ns[r.Intn(len(ns))]
		if r.Intn(2) == 0 {
			n = tree.kids[r.Intn(len(tree.kids))]
		}
		switch r.Intn(16) {
		case 0:
			n.raw = []byte{0xc0}
		case 1:
			n.raw = []byte{0x80}
		case 2:
			n.raw = []byte{0x00}
		case 3:
			n.raw = []byte{0x81, byte(r.Intn(0x80))}
		case 4: // leading zero
			if !n.list {
				n.raw = append(head(0x80, len(n.str)+1), pad(n.str, 1)...)
			}
		case 5: // wide
			b := make([]byte, []int{2, 8, 9, 19, 20, 21, 31, 32, 33, 34, 40, 48, 49, 56, 64, 100}[r.Intn(16)])
			r.Read(b)
			if b[0] == 0 && r.Intn(3) > 0 {
				b[0] = 1
			}
			n.raw = append(head(0x80, len(b)), b...)
		case 6: // non canonical size
			e := n.enc()
			if len(n.str) < 56 && !n.list {
				n.raw = append([]byte{0xb8, byte(len(n.str))}, n.str...)
			} else if n.list {
				c := e[1:]
				n.raw = append([]byte{0xf8, byte(len(c))}, c...)
			}
		case 7: // leading zeros in size
			if !n.list {
				n.raw = append([]byte{0xb9, 0, byte(len(n.str))}, n.str...)
			} else {
				e := n.enc()
				n.raw = append([]byte{0xf9, 0, byte(len(e))}, e...)
			}
		case 8: // huge size
			n.raw = []byte{0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		case 9:
			n.raw = []byte{0xf8, 0xff, 1, 2}
		case 10: // dup child
			if n.list && len(n.kids) > 0 {
				n.kids = append(n.kids, n.kids[r.Intn(len(n.kids))])
			}
		case 11: // drop child
			if n.list && len(n.kids) > 0 {
				k := r.Intn(len(n.kids))
				n.kids = append(append([]*node{}, n.kids[:k]...), n.kids[k+1:]...)
			}
		case 12: // wrap
			n.raw = append(head(0xc0, len(n.enc())), n.enc()...)
		case 13: // element longer than its list
			e := n.enc()
			if len(e) > 1 {
				n.raw = e[:len(e)-1]
			}
		case 14: // flatten: list as string
			if n.list {
				e := n.enc()
				n.raw = append(head(0x80, len(e)), e...)
			}
		case 15: // small ints
			b := []byte{byte(r.Intn(60))}
			n.str = b
			n.list = false
			n.raw = nil
			if b[0] == 0 {
				n.raw = []byte{0x80}
			}
		}
	}
	return append(typ, tree.enc()...)
}
