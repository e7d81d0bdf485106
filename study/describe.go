package study

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because/train"
)

// describe says in words what was done to the initial model, stage by stage.
func (f *File) describe(a *Arm) []string {
	var out []string
	if a.From != "" {
		out = f.describe(f.arm(a.From))
	}
	for _, stage := range a.Stages {
		out = append(out, f.describeStage(stage))
	}
	return out
}

// describeStage puts a stage into words: "SFT on advice (kinds narrow): 1,024 records from 56,000 unique tokens, 1:1 replay".
func (f *File) describeStage(stage Stage) string {
	method, given := stage.Method()
	s := f.merged(method, given)
	what := s.Recipe + inBrackets(s.With)
	switch method {
	case train.Pretrain:
		return fmt.Sprintf("pretrained on %s: %s documents", what, grouped(*s.Records))
	case train.RL:
		return fmt.Sprintf("RL on %s: %d steps of %d prompts x %d answers", what, *s.Steps, *s.Prompts, *s.Group)
	}
	text := fmt.Sprintf("%s on %s: %s records from %s unique tokens", strings.ToUpper(string(method)), what, grouped(*s.Records), grouped(*s.Tokens))
	if *s.Replay > 0 {
		text += fmt.Sprintf(", %s replayed per own record", strconv.FormatFloat(*s.Replay, 'g', -1, 64))
	}
	return text
}

// inBrackets puts options into words, sorted: " (kinds narrow, reasons none)".
func inBrackets(with map[string]any) string {
	if len(with) == 0 {
		return ""
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(with)) {
		parts = append(parts, fmt.Sprintf("%s %v", key, with[key]))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
