package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/because-lab/because/eval/evallog"
)

// dump writes a log as one JSON object.
func dump(out io.Writer, path string) error {
	r, err := evallog.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	b := bufio.NewWriter(out)
	fmt.Fprintf(b, `{"header":%s,"status":%q,"samples":[`, r.Header().Raw, r.Header().Status)
	first := true
	for s, err := range r.Samples() {
		if err != nil {
			return err
		}
		text, err := s.Resolved()
		if err != nil {
			return err
		}
		typed, err := json.Marshal(facts(s))
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		fmt.Fprintf(b, `{"resolved":%s,"facts":%s}`, text, typed)
	}
	b.WriteString(`],"summaries":[`)
	for i := 0; ; i += 3 {
		page, err := r.Summaries(i, 3)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for j, s := range page {
			if i+j > 0 {
				b.WriteByte(',')
			}
			b.Write(s.Raw)
		}
	}
	b.WriteString("]}\n")
	return b.Flush()
}

// facts are what the typed form of a sample says.
func facts(s *evallog.Sample) map[string]any {
	var events, inputs, results []string
	for _, e := range s.Events {
		events = append(events, e.Kind)
		switch b := e.Body.(type) {
		case *evallog.ModelEvent:
			for _, m := range b.Input {
				inputs = append(inputs, m.Role+": "+m.Content.String())
			}
		case *evallog.ToolEvent:
			results = append(results, string(b.Result))
		}
	}
	var messages []string
	for _, m := range s.Messages {
		messages = append(messages, m.Role+": "+m.Content.String())
	}
	message := ""
	if s.Error != nil {
		message = s.Error.Message
	}
	return map[string]any{
		"id": s.ID, "epoch": s.Epoch, "target": s.Target.List(), "messages": messages, "events": events, "inputs": inputs, "results": results,
		"completion": s.Output.Completion, "error": message, "usage": s.ModelUsage, "uuid": s.UUID,
	}
}

func scan(path string) error {
	r, err := evallog.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	n := 0
	for _, err := range r.Samples() {
		if err != nil {
			return err
		}
		n++
	}
	fmt.Println(n, "samples")
	return nil
}

func page(path string) error {
	r, err := evallog.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	rows, err := r.Summaries(0, 100)
	if err != nil {
		return err
	}
	fmt.Println(r.Header().Status, len(rows), "summaries")
	return nil
}
