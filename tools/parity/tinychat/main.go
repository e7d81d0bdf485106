// Command tinychat writes the tiny checkpoint of the tests, with a tokenizer of a few hundred tokens and a chat template, for scripts that compare engines.
package main

import (
	"fmt"
	"os"

	"github.com/because-lab/because/model/pretrained/tinychat"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tinychat FOLDER")
		os.Exit(2)
	}
	if err := tinychat.Save(os.Args[1], 1); err != nil {
		fmt.Fprintln(os.Stderr, "tinychat:", err)
		os.Exit(1)
	}
}
