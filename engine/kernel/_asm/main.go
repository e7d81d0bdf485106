// Command _asm generates the assembly kernels of package kernel. The generate
// lines in ../native_amd64.go run it once for each instruction set.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	name := flag.String("isa", "", "instruction set: avx512 or avx2")
	flag.Parse()

	ConstraintExpr("amd64,!purego")
	switch *name {
	case "avx512":
		all(avx512)
		bf16Tiles(avx512)
	case "avx2":
		all(avx2)
		ropes(short)
		bf16Tiles(avx2)
	default:
		log.Fatalf("unknown instruction set %q", *name)
	}
	Generate()
}

func all(s isa) {
	tiles(s)
	packT(s)
	copyRows(s)
	vectors(s)
	norms(s)
	swiGLUs(s)
	softmaxes(s)
	attend(s)
}
