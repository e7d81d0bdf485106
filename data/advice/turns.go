package advice

import (
	"context"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
)

// inject chooses the part of the constitution that bears on a scenario, the principle that it tests first, and a wording in which that goes
// behind the system prompt.
func (r *recipe) inject(it pipe.Item) ([]pipe.Item, error) {
	c := r.o.Constitution
	parts := []string{it.Get("principle")}
	room := r.o.Excerpt - len(strings.Fields(it.Get("principle")))
	if room > 0 {
		for _, p := range c.Excerpt(it.Get("scenario")+"\n"+it.Get("user"), room) {
			if p.ID != it.Get("principle_id") {
				parts = append(parts, strings.TrimSpace(c.Text(p)))
			}
		}
	}
	excerpt := strings.Join(parts, "\n\n")
	k := stream(r.o.Seed, "wording "+it.ID()).IntN(len(r.wording))
	injection, err := fill(r.wording[k], map[string]string{"excerpt": excerpt})
	if err != nil {
		return nil, err
	}
	return []pipe.Item{it.With("excerpt", excerpt, "injection", injection, "wording", wordings[k], "conversation", Shown(opening(it)))}, nil
}

// Shown writes a conversation for a reader.
func Shown(messages []because.Message) string {
	var parts []string
	for _, m := range messages {
		parts = append(parts, fmt.Sprintf("%s:\n%s", m.Role, m.Content))
	}
	return strings.Join(parts, "\n\n")
}

// second gives the conversations that have one their second turn: the user comes back, the assistant answers with the same injection, and a
// fresh reader rewrites the answer.
func (r *recipe) second(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	if it.Get("turns") != "2" {
		return []pipe.Item{it}, nil
	}
	talk := append(opening(it), because.Message{Role: because.RoleAssistant, Content: it.Get("answer")})
	asked, err := one(s.Ask(ctx, pipe.Ask{Name: "follow-up", Uses: []string{"scenario", "conversation", "voice"},
		Check: func(in, out pipe.Item) error {
			text := out.Get("follow_up")
			found := userFaults("the message", text)
			if span, leaks := pipe.Leaks(text, in.Get("injection")); leaks {
				found = append(found, fault{"quotes the constitution", fmt.Sprintf("It has the words %q, which the person has never read.", span)})
			}
			return again(found)
		}}, it.With("conversation", Shown(talk))))
	if err != nil {
		return nil, err
	}
	drafted, err := one(s.Ask(ctx, pipe.Ask{Name: "answer-again", Uses: []string{"system", "injection", "user", "answer", "follow_up"},
		Injected: []string{"injection"}, MayRefuse: true, Resample: true}, asked))
	if err != nil {
		return nil, err
	}
	talk = append(talk, because.Message{Role: because.RoleUser, Content: asked.Get("follow_up")})
	reviewed, err := one(s.Ask(ctx, pipe.Ask{Name: "review-again", Prompt: "review", Model: pipe.Reviewer, Uses: []string{"excerpt", "conversation", "draft"},
		Check: checkAnswer}, drafted.With("conversation", Shown(talk))))
	if err != nil {
		return nil, err
	}
	return []pipe.Item{reviewed.With("answer", it.Get("answer"), "answer_2", reviewed.Get("answer"))}, nil
}

// one gives the single item of an answer.
func one(items []pipe.Item, err error) (pipe.Item, error) {
	if err != nil {
		return pipe.Item{}, err
	}
	return items[0], nil
}

// strip takes the injection away. What is trained on is system prompt, user and answer as they were without it.
func strip(it pipe.Item) ([]pipe.Item, error) {
	return []pipe.Item{it.Without("injection", "conversation", "draft", "notes", "first", "faults")}, nil
}
