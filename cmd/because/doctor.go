package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/internal/machine"
	"github.com/because-lab/because/internal/store"
	"github.com/because-lab/because/study"
)

// What the default study needs, roughly, with room to spare.
const (
	wantMemory = 2 << 30
	wantDisk   = 2 << 30
)

func newDoctor(a *app) *cobra.Command {
	var dir string
	var r rayDoctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "tell what this machine or a cluster can do, and whether the store is sound",
		Long: `Doctor shows the processor's features, the kernels that can run here with their measured speed, memory, free disk
space, and the state of the store, every byte of which it checks. It changes nothing and takes a second or two.

With --ray it looks at a Ray cluster instead: version, nodes, and by a short job on every node the Python packages that
training needs; with --storage also whether this machine and every node can write there. It says what to install.

BECAUSE_KERNEL=generic|avx2|avx512 overrides the choice of kernel for any command.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.address != "" {
				return a.rayDoctor(cmd.Context(), r)
			}
			return doctor(cmd.Context(), a.out, dir)
		},
	}
	addDir(cmd, &dir)
	r.addTo(cmd.Flags())
	return cmd
}

// doctor prints one line per subject. The error joins everything that would keep a study from running here.
func doctor(ctx context.Context, out io.Writer, dir string) error {
	var problems []error
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(subject, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", subject, fmt.Sprintf(format, args...))
	}
	line("because", "%s", version())
	usable, present := machine.Cores()
	line("processor", "%d of %d cores usable%s", usable, present, features())
	for i, k := range measureKernels(usable) {
		subject := ""
		if i == 0 {
			subject = "kernels"
		}
		line(subject, "%s", k)
	}
	line("memory", "%s", describeMemory())
	disk, err := describeDisk(dir)
	line("disk", "%s", disk)
	problems = append(problems, err)
	health, err := describeStore(ctx, dir)
	line("store", "%s", health)
	problems = append(problems, err)
	if err := w.Flush(); err != nil {
		return err
	}
	return errors.Join(problems...)
}

// features lists the processor's features that the kernels look for.
func features() string {
	var b strings.Builder
	for _, f := range machine.Features() {
		has := "yes"
		if !f.Present {
			has = "no"
		}
		fmt.Fprintf(&b, "; %s %s", f.Name, has)
	}
	return b.String()
}

// describeMemory tells how much memory there is, and whether that may be too little.
func describeMemory() string {
	m, err := machine.ReadMemory()
	if err != nil {
		return "unknown: " + err.Error()
	}
	text := fmt.Sprintf("%s, %s available", gib(m.Total), gib(m.Available))
	if m.Available < wantMemory {
		text += fmt.Sprintf(" (the default study takes up to %s)", gib(wantMemory))
	}
	return text
}

// describeDisk tells how much can be written below dir. It fails where nothing can.
func describeDisk(dir string) (string, error) {
	free, err := machine.FreeDisk(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return "unknown: " + err.Error(), nil
	}
	if err != nil {
		return "unusable", because.E("check disk", dir, err, "choose another folder with --dir")
	}
	text := fmt.Sprintf("%s free for %s", gib(free), dir)
	if free < wantDisk {
		text += fmt.Sprintf(" (the default study takes up to %s)", gib(wantDisk))
	}
	return text, writable(dir)
}

// writable fails where dir exists and no file can be made in it.
func writable(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil // a study makes it
	}
	f, err := os.CreateTemp(dir, ".because-doctor-*")
	if err != nil {
		return because.E("check disk", dir, err, "make the folder writable, or choose another one with --dir")
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// describeStore reads every byte of the store below dir. It fails where something is damaged.
func describeStore(ctx context.Context, dir string) (string, error) {
	root := filepath.Join(dir, filepath.FromSlash(study.StoreDir))
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		return "none yet in " + dir, nil
	}
	var damage []error
	s, err := store.Open(root, store.Options{Verify: true, Warn: func(err error) { damage = append(damage, err) }})
	if err != nil {
		return "unusable", err
	}
	sound, bad, err := verify(ctx, s)
	if err != nil {
		return "unusable", err
	}
	size, err := s.Size()
	if err != nil {
		return "unusable", err
	}
	text := fmt.Sprintf("%s: %d results, %d artifacts, %s", root, size.Results, size.Artifacts, gib(uint64(size.Bytes)))
	if bad == 0 && len(damage) == 0 {
		return text + ", all sound", nil
	}
	damage = append(damage, because.E("check store", root, fmt.Errorf("%d results are damaged, %d are sound", max(bad, 1), sound),
		"run the study again: it rebuilds what is damaged, and nothing else"))
	return text + ", damaged", errors.Join(damage...)
}

// verify looks up every result with a full check of its artifact.
func verify(ctx context.Context, s *store.Store) (sound, bad int, err error) {
	for r, err := range s.Results() {
		if err != nil {
			return sound, bad, err
		}
		_, ok, err := s.Lookup(ctx, r.Key, true)
		switch {
		case err != nil:
			return sound, bad, err
		case ok:
			sound++
		default:
			bad++
		}
	}
	return sound, bad, ctx.Err()
}

// gib writes an amount of bytes for people.
func gib(bytes uint64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(bytes)/(1<<10))
}

// measureKernels times a matrix product with every implementation that runs here, one line each, the one in use first.
func measureKernels(cores int) []string {
	chosen := kernel.Name()
	available := kernel.Available()
	lines := []string{fmt.Sprintf("%s, in use: %.0f GFLOP/s on 1 core", chosen, gflops(1))}
	if cores > 1 {
		lines[0] += fmt.Sprintf(", %.0f on %d", gflops(cores), cores)
	}
	for i := len(available) - 1; i >= 0; i-- {
		if available[i] == chosen || kernel.Use(available[i]) != nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %.0f GFLOP/s on 1 core", available[i], gflops(1)))
	}
	if err := kernel.Use(chosen); err != nil {
		panic(err) // it was in use a moment ago
	}
	return lines
}
