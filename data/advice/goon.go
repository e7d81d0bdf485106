package advice

import (
	"errors"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
)

// Conversation gives what an item that has passed this recipe's stages became, up to the last answer, and the part of the constitution that it was
// written under. It is for recipes that go on from these stages.
func Conversation(it pipe.Item) (messages []because.Message, excerpt string, err error) {
	excerpt, ok := it.Lookup("excerpt")
	if _, answered := it.Lookup("answer"); !ok || !answered {
		return nil, "", errors.New("the item " + it.ID() + " has not passed the stages of " + Name)
	}
	rec, err := record(it)
	return rec.Messages, excerpt, err
}

// PlainAnswer is the text of an item in which the stage Plain leaves its answer.
const PlainAnswer = "first"

// Plain is a stage for recipes that go on from this one's: the model of a role answers the last question of the finished conversation, with the
// prompt file of the first answer and so without anything injected. Its answer is a sample of how that model behaves: it may decline, and is asked for again
// with another seed alone where it is empty or cut off.
func Plain(name, role string) pipe.Ask {
	return pipe.Ask{Name: name, Prompt: "first", Model: role, Uses: []string{"system", "user"}, MayRefuse: true, Resample: true,
		Request: func(it pipe.Item, r *because.Request) error {
			if next, ok := it.Lookup("follow_up"); ok {
				r.Messages = append(r.Messages, because.Message{Role: because.RoleAssistant, Content: it.Get("answer")},
					because.Message{Role: because.RoleUser, Content: next})
			}
			return nil
		}}
}
