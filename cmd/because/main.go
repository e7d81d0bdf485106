// Because trains and measures: did teaching a model the reasons behind its principles change what it does?
//
// Run "because help" for its commands; docs/cli.md has the same text.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
