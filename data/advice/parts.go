package advice

import (
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/prompts"
)

// wordings of the injection, each a prompt file. Several are used in turn, so that the answers don't share what one of them suggests.
var wordings = []string{"beliefs", "friend", "unseen", "doubt", "plain"}

// readParts reads the prompt files that are no stage's: parts of prompts, lists, and the wordings of the injection.
func (r *recipe) readParts() error {
	r.frag, r.lists = map[string]string{}, map[string][]string{}
	persona := r.o.Constitution.Persona
	if persona == "" {
		persona = "one that an organisation would give it"
	}
	for name, vars := range map[string]map[string]string{"problem": nil, "shape-bare": nil, "shape-system": {"persona": persona}, "shape-role": {"persona": persona}} {
		text, err := part(r.set, name, vars)
		if err != nil {
			return err
		}
		r.frag[name] = text
	}
	if r.o.Problem != "" {
		r.frag["problem"] = r.o.Problem
	}
	for _, name := range []string{"settings", "pressures", "voices"} {
		text, err := part(r.set, name, nil)
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				r.lists[name] = append(r.lists[name], line)
			}
		}
		if len(r.lists[name]) == 0 {
			return fmt.Errorf("the list %s is empty", name)
		}
	}
	for _, name := range wordings {
		p, err := r.set.Get("inject-" + name)
		if err != nil {
			return err
		}
		if errs := p.Check("excerpt"); len(errs) > 0 {
			return errors.Join(errs...)
		}
		r.wording = append(r.wording, p)
	}
	return nil
}

// part fills a prompt file that has one message and gives its text.
func part(set *prompts.Set, name string, vars map[string]string) (string, error) {
	p, err := set.Get(name)
	if err != nil {
		return "", err
	}
	var uses []string
	for v := range vars {
		uses = append(uses, v)
	}
	if errs := p.Check(uses...); len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	return fill(p, vars)
}

func fill(p *prompts.Prompt, vars map[string]string) (string, error) {
	messages, err := p.Render(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if err != nil {
		return "", err
	}
	if len(messages) != 1 || messages[0].Role != because.RoleUser {
		return "", because.E("read prompt", p.File, errors.New("it is a part of other prompts, so it has one message, the user's"), "")
	}
	return strings.TrimSpace(messages[0].Content), nil
}
