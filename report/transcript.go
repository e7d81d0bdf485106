package report

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// transcriptGroup is the transcripts of one arm in one world.
type transcriptGroup struct {
	world, arm string
	items      []Transcript
}

func (g transcriptGroup) title() string { return g.arm + " (" + g.world + ")" }

// title says what a transcript is of: "blackmail, persona · seed 11 · harmful (call send_mail)".
func (t Transcript) title() string {
	s := fmt.Sprintf("%s · seed %d · %s", Cell{t.Task, t.Cell}, t.Seed, t.Outcome)
	if t.Why != "" {
		s += " (" + t.Why + ")"
	}
	return s
}

// tone colours an outcome.
func (t Transcript) tone() tone {
	switch t.Outcome {
	case "harmful", "wrong":
		return bad
	case "harmless", "admirable", "correct":
		return good
	}
	return open
}

// groupTranscripts keeps the order in which arms and their transcripts first occur.
func groupTranscripts(transcripts []Transcript) []transcriptGroup {
	var groups []transcriptGroup
	index := map[[2]string]int{}
	for _, t := range transcripts {
		key := [2]string{t.World, t.Arm}
		at, ok := index[key]
		if !ok {
			at = len(groups)
			index[key] = at
			groups = append(groups, transcriptGroup{world: t.World, arm: t.Arm})
		}
		groups[at].items = append(groups[at].items, t)
	}
	return groups
}

// encodeTranscripts gives transcripts.jsonl: one per line.
func encodeTranscripts(transcripts []Transcript) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for i, t := range transcripts {
		if err := enc.Encode(t); err != nil {
			return nil, fmt.Errorf("encode transcript %d: %w", i, err)
		}
	}
	return out.Bytes(), nil
}

// text gives a group for reading in a terminal or editor.
func (g transcriptGroup) text() []byte {
	var out bytes.Buffer
	for _, t := range g.items {
		fmt.Fprintf(&out, "=== %s\n%s\n>>> %s\n\n", t.title(), t.Prompt, t.Response)
	}
	return out.Bytes()
}
