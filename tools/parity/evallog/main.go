// Command evallog writes and reads logs for tools/parity/inspect_logs.py, which compares them with inspect_ai.
//
//	evallog write DIR       logs of every kind
//	evallog large FILE N    a finished log of N samples
//	evallog dump FILE       header, samples with references in place, and summaries, as one JSON object
//	evallog scan FILE       reads every sample and prints how many
//	evallog page FILE       reads the header and the first page of summaries
//	evallog resume FILE     resumes a log of "large" and closes it
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "evallog:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: evallog write|large|dump|scan|page|resume FILE")
	}
	switch args[0] {
	case "write":
		return writeAll(args[1])
	case "large":
		if len(args) < 3 {
			return fmt.Errorf("usage: evallog large FILE N")
		}
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return large(args[1], n)
	case "dump":
		return dump(os.Stdout, args[1])
	case "scan":
		return scan(args[1])
	case "page":
		return page(args[1])
	case "resume":
		return resume(args[1])
	}
	return fmt.Errorf("unknown command %q", args[0])
}
