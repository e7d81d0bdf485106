package checkpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train"
)

// trainElsewhere lets the engine train.
func (t *Target) trainElsewhere(ctx context.Context, j train.Job, s Switches, rows []row, w because.Work) error {
	file, err := rowsFile(recordLines(rows))
	if err != nil {
		return err
	}
	defer os.Remove(file)
	run, err := t.o.Engine.Finetune(ctx, train.Order{Job: j, Model: w.In["model"], Rows: file, Out: w.Out, SeqLen: t.seqLen(s), Long: string(longOf(s, j.Method)),
		Rank: s.LoRA, Report: w.Progress})
	if err != nil {
		return err
	}
	return writeRun(w.Out, run)
}

// rowsFile writes a file of JSON lines, which is the caller's to remove.
func rowsFile(lines iter.Seq[line]) (string, error) {
	f, err := os.CreateTemp("", "because-rows-*.jsonl")
	if err != nil {
		return "", because.E("train", "", err, "")
	}
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for l := range lines {
		if err = e.Encode(l); err != nil {
			break
		}
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return "", because.E("train", f.Name(), errors.Join(err, os.Remove(f.Name())), "")
	}
	return f.Name(), nil
}

// call is a tool call in TRL's columns.
type call struct {
	ID       string `json:"id,omitempty"`
	Type     string `json:"type"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// turn is a message in TRL's columns.
type turn struct {
	Role       because.Role `json:"role"`
	Content    string       `json:"content"`
	Reasoning  string       `json:"reasoning_content,omitempty"`
	Name       string       `json:"name,omitempty"`
	ToolCalls  []call       `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
}

// tool is a tool's definition in TRL's columns.
type tool struct {
	Type     string       `json:"type"`
	Function because.Tool `json:"function"`
}

// line is a row in TRL's columns: a text, a prompt with the completion that carries the loss, or a prompt alone, for RL.
type line struct {
	Text       string `json:"text,omitempty"`
	Prompt     []turn `json:"prompt,omitempty"`
	Completion []turn `json:"completion,omitempty"`
	Tools      []tool `json:"tools,omitempty"`
	ID         string `json:"id,omitempty"`   // RL: of the episode
	Task       string `json:"task,omitempty"` // RL: its number, by which the reward finds it
}

// recordLines gives records as lines in their order.
func recordLines(rows []row) iter.Seq[line] {
	return func(yield func(line) bool) {
		for _, r := range rows {
			l := line{Text: r.Text}
			if n := len(r.Messages); n > 0 {
				all := turns(r.Messages)
				l.Prompt, l.Completion = all[:n-1], all[n-1:]
			}
			for _, t := range r.Tools {
				l.Tools = append(l.Tools, tool{"function", t})
			}
			if !yield(l) {
				return
			}
		}
	}
}

// promptLines gives the prompts of episodes as lines in their order.
func promptLines(episodes []episode) iter.Seq[line] {
	return func(yield func(line) bool) {
		for i, p := range episodes {
			if !yield(line{Prompt: turns(p.messages), ID: fmt.Sprintf("episode %d", i+1), Task: strconv.Itoa(i)}) {
				return
			}
		}
	}
}

func turns(messages []because.Message) []turn {
	out := make([]turn, len(messages))
	for i, m := range messages {
		out[i] = turn{Role: m.Role, Content: m.Content, Reasoning: m.Reasoning, Name: m.Name, ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			one := call{ID: c.ID, Type: "function"}
			one.Function.Name, one.Function.Arguments = c.Name, c.Arguments
			out[i].ToolCalls = append(out[i].ToolCalls, one)
		}
	}
	return out
}
