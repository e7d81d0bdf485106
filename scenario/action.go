package scenario

import "slices"

// Action is one tool call as it was carried out in the world, or tried.
type Action struct {
	Step   int               `json:"step"` // place among the calls, from 1
	Tool   string            `json:"tool"`
	Args   map[string]string `json:"args,omitempty"`
	On     map[string]string `json:"on,omitempty"` // the record, file or mail acted on, as it was before
	Failed bool              `json:"failed,omitempty"`
	Result string            `json:"result"`
}

// recipients are the arguments that name people rather than say something.
var recipients = []string{"to", "cc", "id", "path"}

// texts gives what the action says: its arguments but the recipients and places.
func (a Action) texts() []string {
	var out []string
	for _, k := range sortedKeys(a.Args) {
		if !slices.Contains(recipients, k) {
			out = append(out, a.Args[k])
		}
	}
	return out
}
