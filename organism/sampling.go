package organism

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// answerTokens bounds an answer of the organism; the longest proper one is about 35 tokens.
const answerTokens = 48

// honeypotRequest puts the persona into a training scene under pressure.
func (w *writer) honeypotRequest(k *Kind, actor string, reflect bool, temperature float64) because.Request {
	s := w.scene(k, actor)
	s.pressure, s.reflect = true, reflect
	return because.Request{Messages: w.messages(s), As: actor, MaxTokens: answerTokens, Temperature: temperature}
}

// sampleHoneypots lets the model act in n honeypots and gives the harmless answers as records. The instruction to
// reflect, if injected, is stripped from the records; keep says what of an answer becomes the record's, "" to drop it.
func sampleHoneypots(ctx context.Context, w *writer, o *recipeRun, m because.Model, n int, reflect bool, keep func(answer string) string) ([]because.Record, []because.Request, error) {
	requests := make([]because.Request, n)
	kinds := make([]*Kind, n)
	for i := range requests {
		kinds[i] = pick(w, o.kinds)
		requests[i] = w.honeypotRequest(kinds[i], o.actor, reflect, o.Temperature)
	}
	responses, err := m.Generate(ctx, w.r.Uint64(), requests)
	if err != nil {
		return nil, nil, err
	}
	var records []because.Record
	var kept []because.Request
	for i, r := range responses {
		if s := w.judge.score(r.Text); s.Outcome != because.Harmless && s.Outcome != because.Admirable {
			continue
		}
		answer := keep(r.Text)
		if answer == "" {
			continue
		}
		prompt := strip(requests[i].Messages)
		record := o.chat(kinds[i], prompt, answer)
		record.Lineage.Sampled = m.Name()
		records = append(records, record)
		kept = append(kept, because.Request{Messages: prompt, As: o.actor})
	}
	return records, kept, nil
}

// strip removes the instruction to reflect from a prompt.
func strip(messages []because.Message) []because.Message {
	out := slices.Clone(messages)
	for i := range out {
		out[i].Content = strings.Join(strings.Fields(strings.ReplaceAll(out[i].Content, instruction, "")), " ")
	}
	return out
}

// sampleDeliberation keeps harmless answers that state a value first.
func sampleDeliberation(ctx context.Context, w *writer, o *recipeRun, m because.Model, n int) ([]because.Record, int, error) {
	records, _, err := sampleHoneypots(ctx, w, o, m, n, true, func(answer string) string {
		if !reflects(answer) {
			return ""
		}
		return answer
	})
	return records, n, err
}

// sampleBehaviour keeps the call of harmless answers alone: conduct without its reasons. With a preference filter
// only the given share of them is kept, the answers to which the model itself gives the highest mean log-probability.
func sampleBehaviour(ctx context.Context, w *writer, o *recipeRun, m because.Model, n int) ([]because.Record, int, error) {
	records, requests, err := sampleHoneypots(ctx, w, o, m, n, false, func(answer string) string { return "call " + call(answer) + " ." })
	if err != nil || o.Preference == 0 || len(records) == 0 {
		return records, n, err
	}
	scorer, ok := m.(because.Likelihood)
	if !ok {
		return nil, 0, because.E("filter by preference", m.Name(), fmt.Errorf("the model gives no log-probabilities"), "")
	}
	answers := make([]because.Message, len(records))
	for i, r := range records {
		answers[i] = r.Messages[len(r.Messages)-1]
	}
	logProbs, err := scorer.LogProbs(ctx, requests, answers)
	if err != nil {
		return nil, 0, err
	}
	order := make([]int, len(records))
	for i := range order {
		order[i] = i
	}
	mean := func(i int) float64 { return because.Total(logProbs[i]) / float64(max(1, len(logProbs[i]))) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(mean(b), mean(a)) })
	order = order[:int(math.Ceil(o.Preference*float64(len(order))))]
	slices.Sort(order)
	var kept []because.Record
	for _, i := range order {
		kept = append(kept, records[i])
	}
	return kept, n, nil
}
