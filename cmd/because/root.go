package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

const about = `Because takes a language model, a constitution (principles with their reasons) and a plan, and answers with
measurements: did teaching the reasons change what the model does, by how much, with which data, at what
cost, and does it last?

The default study needs nothing but this program. It trains a model organism: a tiny language model on a small
made-up language, an instrument with a positive and a negative control. It says nothing about large models by itself.`

// newRoot makes the command tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "because",
		Short:         "measure whether teaching the reasons changes what a model does",
		Long:          about,
		Example:       "  because study --quick\n  because study",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitCodeText())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(name(cmd), "", helpHint(cmd), "%w", err)
	})
	root.SuggestionsMinimumDistance = 2
	root.SetHelpCommand(newHelp())
	root.AddCommand(
		newStudy(a),
		newWhy(a),
		newEval(a),
		newLog(a),
		newJudge(a),
		newConstitution(a),
		newGen(a),
		newData(a),
		newChat(a),
		newServe(a),
		newTrain(a),
		newReport(a),
		newDoctor(a),
	)
	return root
}

// knownCommand refuses a first argument that is no command, with the nearest command's name.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := helpHint(cmd)
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return usage(name(cmd), "", hint, "unknown command %q", args[0])
}

// atMost allows up to n positional arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return usage(name(cmd), "", helpHint(cmd), "unexpected argument %q", args[n])
	}
}

// exactlyOne requires one positional argument, called what.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(name(cmd), "", helpHint(cmd), "%s is missing", what)
		}
		return atMost(1)(cmd, args)
	}
}

// name gives a command's path without the program's name, which starts every message already.
func name(cmd *cobra.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()))
}

func helpHint(cmd *cobra.Command) string { return fmt.Sprintf("see %s --help", cmd.CommandPath()) }

// exitCodeText is the paragraph on exit codes that ends every help text.
func exitCodeText() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", c.code, c.meaning)
	}
	return b.String()
}

// addDir gives a command the flag for the folder that holds a study's runs and store.
func addDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", ".", "`folder` that holds runs/ and the store (.because/store)")
}

// version tells what this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown) " + runtime.Version()
	}
	v := strings.Trim(info.Main.Version, "()")
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, s.Value[:min(12, len(s.Value))]) {
			v += " " + s.Value[:min(12, len(s.Value))]
		}
		if s.Key == "vcs.modified" && s.Value == "true" && !strings.Contains(v, "+dirty") {
			v += "+dirty"
		}
	}
	return fmt.Sprintf("%s, %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
