package local

import (
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// Template turns messages into text: a marker word before each message, the speaker's name after the
// assistant's marker. It is the only bridge from messages to tokens; its Jinja form goes into
// tokenizer_config.json, where transformers finds it.
type Template struct {
	System, User, Tool, Assistant string // the marker of each role
	End                           string // ends the assistant's turn
	Persona                       string // speaks where a request names nobody
}

// RoleTemplate is the template of the organism's checkpoints, with the given default speaker.
func RoleTemplate(persona string) Template {
	return Template{System: "<sys>", User: "<user>", Tool: "<obs>", Assistant: "<turn>", End: "<end>", Persona: persona}
}

// Words gives the marker words, which are special tokens.
func (t Template) Words() []string { return []string{t.System, t.User, t.Tool, t.Assistant, t.End} }

// check reports a message that the template cannot write. Prompt would leave its calls out, or take it for a tool's.
func (t Template) check(messages []because.Message) error {
	for i, m := range messages {
		switch m.Role {
		case because.RoleSystem, because.RoleUser, because.RoleTool, because.RoleAssistant:
		default:
			return fmt.Errorf("messages[%d] has the unknown role %q", i, m.Role)
		}
		if len(m.ToolCalls) > 0 {
			return fmt.Errorf("messages[%d] calls the tool %s, and this template has no tool calls", i, m.ToolCalls[0].Name)
		}
	}
	return nil
}

// Prompt renders messages and opens the assistant's turn.
func (t Template) Prompt(messages []because.Message, as string) string {
	var b strings.Builder
	for _, m := range messages {
		if m.Role == because.RoleAssistant {
			fmt.Fprintf(&b, "%s %s : %s %s ", t.Assistant, t.name(m.Name), m.Content, t.End)
			continue
		}
		fmt.Fprintf(&b, "%s %s ", t.marker(m.Role), m.Content)
	}
	fmt.Fprintf(&b, "%s %s :", t.Assistant, t.name(as))
	return b.String()
}

// Render renders a conversation with its answer, without the end marker.
func (t Template) Render(messages []because.Message, as, answer string) string {
	return t.Prompt(messages, as) + " " + answer
}

func (t Template) name(as string) string {
	if as == "" {
		return t.Persona
	}
	return as
}

func (t Template) marker(r because.Role) string {
	switch r {
	case because.RoleSystem:
		return t.System
	case because.RoleUser:
		return t.User
	}
	return t.Tool
}

// Jinja gives the template in the language of Hugging Face's chat templates. Pass name= to
// apply_chat_template for another speaker than the default.
func (t Template) Jinja() string {
	return fmt.Sprintf(`{%%- for m in messages -%%}`+
		`{%%- if m.role == 'assistant' -%%}{{ '%[4]s ' + (m.name | default('%[6]s')) + ' : ' + m.content + ' %[5]s ' }}`+
		`{%%- elif m.role == 'system' -%%}{{ '%[1]s ' + m.content + ' ' }}`+
		`{%%- elif m.role == 'user' -%%}{{ '%[2]s ' + m.content + ' ' }}`+
		`{%%- else -%%}{{ '%[3]s ' + m.content + ' ' }}{%%- endif -%%}{%%- endfor -%%}`+
		`{%%- if add_generation_prompt -%%}{{ '%[4]s ' + (name | default('%[6]s')) + ' :' }}{%%- endif -%%}`,
		t.System, t.User, t.Tool, t.Assistant, t.End, t.Persona)
}
