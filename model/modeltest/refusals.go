package modeltest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// refusals checks that what a provider lacks is refused clearly, and before anything is sent: an answer that ignored a part of its request
// would be taken for an answer to all of it.
func (c *contract) refusals(t *testing.T) {
	set := map[Feature]func(r *because.Request){
		Tools:       func(r *because.Request) { r.Tools = []because.Tool{search} },
		Choice:      func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "required" },
		Prefill:     func(r *because.Request) { r.Prefill = "I" },
		StopStrings: func(r *because.Request) { r.Stop = []string{"\n"} },
		Format: func(r *because.Request) {
			r.Format = &because.Schema{Name: "any", Schema: json.RawMessage(`{"type":"object"}`)}
		},
		Effort:   func(r *because.Request) { r.Effort = "high" },
		Personas: func(r *because.Request) { r.As = "warden" },
	}
	for _, f := range c.lacks {
		if set[f] == nil {
			continue
		}
		t.Run(string(f), func(t *testing.T) {
			s := replies(because.Response{Text: "as if nothing were", Stop: because.StopEnd})
			r := user("hello")
			set[f](&r)
			got, err := c.open(t, s).Answer(t.Context(), 1, r)
			var e *model.Error
			switch {
			case err == nil:
				t.Errorf("answered %+v", got)
			case errors.As(err, &e) && e.Passes():
				t.Errorf("%v would be sent again and again", err)
			case because.Hint(err) == "" && model.KindOf(err) != model.Rejected && model.KindOf(err) != model.NoTools:
				t.Errorf("%v is no clear refusal", err)
			}
			if n := len(s.Asked()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// unscripted checks a model that answers as it likes: limits, prefill and usage hold all the same, and equal requests get equal answers.
func (c *contract) unscripted(t *testing.T) {
	chat := c.open(t, replies(because.Response{}))
	if chat.Name() == "" {
		t.Error("the model has no name")
	}
	r := user("hello")
	r.MaxTokens, r.Temperature = 5, 1
	if c.has(Prefill) {
		r.Prefill = "because"
	}
	before := dump(r)
	got, err := chat.Answer(t.Context(), 7, r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Text, r.Prefill) {
		t.Errorf("%q does not begin with %q", got.Text, r.Prefill)
	}
	if got.Usage.Input < 1 || got.Usage.Output < 1 || got.Usage.Output > r.MaxTokens {
		t.Errorf("of at most %d tokens it used %+v", r.MaxTokens, got.Usage)
	}
	if got.Usage.Output == r.MaxTokens && got.Stop != because.StopLength && got.Stop != because.StopEnd {
		t.Errorf("it stopped for %q", got.Stop)
	}
	if again, err := chat.Answer(t.Context(), 7, r); err != nil || dump(again) != dump(got) {
		t.Errorf("the same seed and request gave %s, %v, and then %s", dump(got), err, dump(again))
	}
	if after := dump(r); after != before {
		t.Errorf("the request\n%s\nwas changed to\n%s", before, after)
	}
	t.Run("cancelled", func(t *testing.T) { cancelled(t, chat) })
}
