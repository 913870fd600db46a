// Judges a station's log by code that is not ours: golang.org/x/mod/sumdb/note and tlog.
//
//	judge log DIR    reads on standard input what the station says that DIR proves, and says "true" when it does
//	judge sign       prints a key and a note that it signed, for the station's verifier
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type claims struct {
	Vkey    string
	Heads   [][]byte // signed notes, the smallest first
	Entries []struct {
		Index int64
		Data  []byte
		Proof [][]byte // that it is in the last head's tree
	}
	Trees []struct {
		Old   int // number of a head
		Proof [][]byte
	}
}

type head struct {
	size int64
	root tlog.Hash
}

// files serves the tiles of a log as they lie on a station: the last of each level under its whole name.
type files struct{ folder string }

func (f files) Height() int { return height }

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		whole := tile
		whole.W = 1 << height
		// theirs begins with the height of the tiles: tile/8/0/000
		name := strings.Replace(whole.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(f.folder, name))
		if err != nil {
			return nil, err
		}
		if len(data) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is too short", name)
		}
		found = append(found, data[:tile.W*tlog.HashSize])
	}
	return found, nil
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "sign" {
		sign()
		return
	}
	var said claims
	must(json.NewDecoder(os.Stdin).Decode(&said))
	verifier, err := note.NewVerifier(said.Vkey)
	must(err)
	var heads []head
	for _, data := range said.Heads {
		heads = append(heads, open(data, verifier))
	}
	last := heads[len(heads)-1]
	tiles := tlog.TileHashReader(tlog.Tree{N: last.size, Hash: last.root}, files{os.Args[2]})
	for _, entry := range said.Entries {
		leaf := tlog.RecordHash(entry.Data)
		proof := hashes(entry.Proof)
		must(tlog.CheckRecord(proof, last.size, last.root, entry.Index, leaf))
		own, err := tlog.ProveRecord(last.size, entry.Index, tiles)
		must(err)
		same(own, proof)
	}
	for _, tree := range said.Trees {
		old := heads[tree.Old]
		proof := hashes(tree.Proof)
		must(tlog.CheckTree(proof, last.size, last.root, old.size, old.root))
		own, err := tlog.ProveTree(last.size, old.size, tiles)
		must(err)
		same(own, proof)
	}
	fmt.Println("true")
}

func open(data []byte, verifier note.Verifier) head {
	opened, err := note.Open(data, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	return head{size, hashes([][]byte{root})[0]}
}

func hashes(raw [][]byte) []tlog.Hash {
	var found []tlog.Hash
	for _, data := range raw {
		var hash tlog.Hash
		if copy(hash[:], data) != tlog.HashSize || len(data) != tlog.HashSize {
			must(fmt.Errorf("%d bytes are no hash", len(data)))
		}
		found = append(found, hash)
	}
	return found
}

func same(own, theirs []tlog.Hash) {
	if fmt.Sprint(own) != fmt.Sprint(theirs) {
		must(fmt.Errorf("the proof from the tiles is another one"))
	}
}

func sign() {
	secret, public, err := note.GenerateKey(rand.Reader, "other.example/log")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	root := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, tlog.HashSize))
	text := "other.example/log\n7\n" + root + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(err)
	must(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"vkey": public, "note": signed}))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
