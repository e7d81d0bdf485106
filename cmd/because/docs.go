package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test -run TestDocs -update .

// markdown gives docs/cli.md: the help texts of all commands and the exit codes.
func markdown(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Command line\n\n<!-- Generated from the commands: go generate ./cmd/because -->\n\n")
	b.WriteString(root.Long + "\n\n")
	b.WriteString("| command | |\n|---|---|\n")
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd != root {
			anchor := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", cmd.CommandPath(), anchor, cmd.Short)
		}
	})
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", c.code, c.meaning)
	}
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd != root {
			section(&b, cmd)
		}
	})
	return b.String()
}

// eachCommand visits a command and all below it that help lists.
func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			eachCommand(sub, visit)
		}
	}
}

// section writes one command: its usage, text, flags and examples.
func section(b *strings.Builder, cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n    %s\n\n%s\n", cmd.CommandPath(), cmd.UseLine(), text)
	if flags := flagTable(cmd); flags != "" {
		b.WriteString("\n| flag | default | |\n|---|---|---|\n" + flags)
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n%s\n", indent(cmd.Example, "  "))
	}
}

// flagTable gives a row for every flag of a command but --help.
func flagTable(cmd *cobra.Command) string {
	var b strings.Builder
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if value != "" {
			flag += " " + strings.ToUpper(value)
		}
		def := f.DefValue
		if def == "false" || def == "[]" || def == "" {
			def = ""
		} else {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", flag, def, strings.ReplaceAll(text, "|", `\|`))
	})
	return b.String()
}

// indent puts a prefix before every line.
func indent(text, prefix string) string {
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
}
