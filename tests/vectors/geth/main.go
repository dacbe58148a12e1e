// Command geth-transactions records what go-ethereum says to signed and damaged transactions.
//
//	go run . -seed 7 -inputs 320000 > ../geth_transactions.jsonl
//
// One line is kept for each error text and a few for each kind of success; with -all every line is written, for
// a comparison of the whole (GETH_TRANSACTIONS=file cargo test --release --test geth_transactions).
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"log"
	"math/rand"
	"os"
	"regexp"
	"sort"
	"strings"
)

// Longer inputs are examined but not kept, apart from -all.
const longestKept = 700

// How many answers of one kind are kept.
const keptSenders, keptErrors = 14, 1

var (
	index  = regexp.MustCompile(`\[\d+\]`)
	number = regexp.MustCompile(`\d+`)
)

// kind names what two answers must share to stand for each other.
func (a answer) kind() string {
	if a.Error != "" {
		return index.ReplaceAllString(a.Error, "[N]")
	}
	txType := a.Raw[:2]
	if txType > "7f" {
		txType = "legacy"
	}
	parts := append([]string{"ok", txType, number.ReplaceAllString(a.SenderError, "N")}, a.Wide...)
	if a.Sidecar != nil {
		parts = append(parts, "sidecar")
	}
	return strings.Join(parts, " ")
}

func main() {
	seed := flag.Int64("seed", 7, "seed of the inputs")
	inputs := flag.Int("inputs", 320_000, "how many inputs to examine")
	all := flag.Bool("all", false, "write every answer")
	flag.Parse()

	random := rand.New(rand.NewSource(*seed))
	kept := map[string][]answer{}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for range *inputs {
		raw := signedTransaction(random, *all && random.Intn(400) == 0)
		if random.Intn(8) > 0 {
			raw = damage(random, raw)
		}
		given := examine(raw)
		if *all {
			write(encoder, given)
		} else if len(raw) <= longestKept {
			kept[given.kind()] = keep(kept[given.kind()], given)
		}
	}
	var answers []answer
	for _, some := range kept {
		answers = append(answers, some...)
	}
	sort.Slice(answers, func(i, j int) bool { return answers[i].Raw < answers[j].Raw })
	for _, given := range answers {
		write(encoder, given)
	}
}

// keep prefers the shortest among the refused and the first among those with a sender.
func keep(some []answer, given answer) []answer {
	if given.Sender != "" {
		if len(some) < keptSenders {
			some = append(some, given)
		}
		return some
	}
	some = append(some, given)
	sort.SliceStable(some, func(i, j int) bool { return len(some[i].Raw) < len(some[j].Raw) })
	return some[:min(len(some), keptErrors)]
}

func write(encoder *json.Encoder, given answer) {
	if err := encoder.Encode(given); err != nil {
		log.Fatal(err)
	}
}
