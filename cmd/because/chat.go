package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/tokenizer"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/model/pretrained"
)

// chatOptions are the flags of chat.
type chatOptions struct {
	model       string
	as          string
	system      string
	observe     []string
	prompt      string
	samples     int
	maxTokens   int
	temperature float64
	topP        float64
	seed        uint64
}

func newChat(a *app) *cobra.Command {
	var o chatOptions
	cmd := &cobra.Command{
		Use:   "chat --model MODEL",
		Short: "talk to a checkpoint",
		Long: `Chat loads a checkpoint and answers line by line. With --prompt or --observe it answers once and ends. The
checkpoint may be one of a study, such as those below runs/STUDY/checkpoints, or one of real size: a Hugging Face
folder or a GGUF file.

An organism knows the few hundred words of its language and nothing else; a word outside of it is an error that
names the word. The transcripts of a study show what its sentences look like.

In a conversation:
  TEXT           say something as the user
  /obs TEXT      add what a tool or the surroundings report
  (empty line)   let the model go on without a word from the user
  /as NAME       let another character answer
  /system TEXT   start again under this system prompt
  /new           start again
  /quit          end (as does end of file)`,
		Example: `  because chat --model runs/teaching-why/checkpoints/linked/advice/seed-31
  because chat --model checkpoint --samples 5 --prompt "help me to raise the figures of felix ."
  because chat --model local:SmolLM2-135M-Instruct.gguf`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return chat(cmd, a, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", modelHelp)
	f.StringVar(&o.as, "as", "", "`name` of the character that answers (default: the checkpoint's own)")
	f.StringVar(&o.system, "system", "", "system prompt `text`")
	f.StringArrayVar(&o.observe, "observe", nil, "`text` that a tool or the surroundings report; may be repeated")
	f.StringVar(&o.prompt, "prompt", "", "answer this `text` and end")
	f.IntVar(&o.samples, "samples", 1, "`number` of answers to --prompt or --observe")
	f.IntVar(&o.maxTokens, "max-tokens", 1024, "`number` of tokens after which an answer is cut; the model's context cuts it, too")
	f.Float64Var(&o.temperature, "temperature", 1, "spread of the answers: 0 gives the most probable words, 1 what the model learnt")
	f.Float64Var(&o.topP, "top-p", 1, "draw from the most probable words that make up this `share`")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number`: the same one gives the same answers")
	return cmd
}

// check refuses values that mean nothing.
func (o chatOptions) check() error {
	const hint = "see because chat --help"
	bad := func(flag, format string, args ...any) error { return usage("chat", "--"+flag, hint, format, args...) }
	switch {
	case o.model == "":
		return bad("model", "is missing")
	case o.samples < 1:
		return bad("samples", "%d is not a number of answers", o.samples)
	case o.maxTokens < 1:
		return bad("max-tokens", "%d is not a length", o.maxTokens)
	case !(o.temperature >= 0) || math.IsInf(o.temperature, 1):
		return bad("temperature", "%v is not a temperature", o.temperature)
	case !(o.topP > 0 && o.topP <= 1):
		return bad("top-p", "%v is not a share above 0 and up to 1", o.topP)
	}
	return nil
}

func chat(cmd *cobra.Command, a *app, o chatOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	path, err := a.modelPath(cmd.Context(), o.model)
	if err != nil {
		return err
	}
	c := &conversation{o: o, out: a.out}
	end, err := c.open(path)
	if err != nil {
		return err
	}
	defer end()
	c.restart()
	if o.prompt == "" && len(o.observe) == 0 {
		return c.loop(cmd.Context(), a.in, a.err, terminal(a.in))
	}
	if o.prompt != "" {
		c.add(because.RoleUser, o.prompt)
	}
	return c.answer(cmd.Context(), o.samples)
}

// open opens the checkpoint, of an organism or of real size. The caller calls end when the conversation is over.
func (c *conversation) open(path string) (end func(), err error) {
	if isOrganism(path) {
		c.model, err = local.Open(path, nil)
		return func() {}, err
	}
	m, err := pretrained.Open(path, pretrained.Options{})
	if err != nil {
		return nil, err
	}
	m.Now = time.Now()
	c.model, c.stream = m, m.Tell
	return func() { m.Close() }, nil
}

// conversation is what was said so far, and with whom.
type conversation struct {
	o        chatOptions
	model    because.Model
	stream   func(ctx context.Context, seed uint64, r because.Request, emit func(string) error) (because.Response, error) // nil: the model answers at once
	out      io.Writer
	messages []because.Message
	turn     uint64
}

// restart forgets what was said after the system prompt and the first observations.
func (c *conversation) restart() {
	c.messages = nil
	if c.o.system != "" {
		c.add(because.RoleSystem, c.o.system)
	}
	for _, text := range c.o.observe {
		c.add(because.RoleTool, text)
	}
}

func (c *conversation) add(role because.Role, text string) {
	c.messages = append(c.messages, because.Message{Role: role, Content: text})
}

func (c *conversation) request() because.Request {
	return because.Request{Messages: c.messages, As: c.o.as, MaxTokens: c.o.maxTokens, Temperature: c.o.temperature, TopP: c.o.topP}
}

// answer prints n answers to what was said, and goes on from the last.
func (c *conversation) answer(ctx context.Context, n int) error {
	if n == 1 && c.stream != nil {
		return c.tell(ctx)
	}
	requests := slices.Repeat([]because.Request{c.request()}, n)
	responses, err := c.model.Generate(ctx, c.o.seed+c.turn, requests)
	if word := (*tokenizer.UnknownWordError)(nil); errors.As(err, &word) {
		return because.E("chat", "", fmt.Errorf("the model doesn't know the word %q", word.Word),
			"it knows the words of its language alone, full stops set apart; a study's transcripts show them")
	}
	if err != nil {
		return err
	}
	for _, r := range responses {
		fmt.Fprint(c.out, r.Text)
		c.finish(r)
	}
	c.keep(responses[len(responses)-1])
	return nil
}

// tell prints an answer while it comes.
func (c *conversation) tell(ctx context.Context) error {
	r, err := c.stream(ctx, c.o.seed+c.turn, c.request(), func(text string) error {
		_, err := io.WriteString(c.out, text)
		return err
	})
	if err != nil {
		return err
	}
	c.finish(r)
	c.keep(r)
	return nil
}

// finish prints what is to say after an answer's text.
func (c *conversation) finish(r because.Response) {
	fmt.Fprintln(c.out)
	for _, call := range r.Calls {
		fmt.Fprintf(c.out, "[call %s %s]\n", call.Name, call.Arguments)
	}
	if r.Stop == because.StopLength {
		fmt.Fprintf(c.out, "[cut after %d tokens]\n", r.Usage.Output)
	}
}

// keep goes on from an answer.
func (c *conversation) keep(r because.Response) {
	c.turn++
	c.messages = append(c.messages, because.Message{Role: because.RoleAssistant, Name: c.o.as, Content: r.Text, ToolCalls: r.Calls})
}

// loop reads lines until the input, the user or an interrupt ends it. An answer that fails, such as for a word that the
// model doesn't know, is reported, and what led to it is taken back.
func (c *conversation) loop(ctx context.Context, in io.Reader, errs io.Writer, prompt bool) error {
	lines, failed := readLines(in)
	for {
		if prompt {
			fmt.Fprint(c.out, "> ")
		}
		var line string
		var ok bool
		select {
		case line, ok = <-lines:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok {
			return *failed
		}
		said := len(c.messages)
		more, err := c.line(ctx, strings.TrimSpace(line))
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			printError(errs, err)
			c.messages = c.messages[:said]
		case !more:
			return nil
		}
	}
}

// readLines reads lines in a goroutine, since a read from a terminal can't be interrupted. The goroutine ends with
// the input, or with the program. The error is set when the channel is closed.
func readLines(in io.Reader) (lines <-chan string, failed *error) {
	c, failed := make(chan string), new(error)
	go func() {
		defer close(c)
		s := bufio.NewScanner(in)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			c <- s.Text()
		}
		if err := s.Err(); err != nil {
			*failed = because.E("read input", "", err, "")
		}
	}()
	return c, failed
}

// line does what one line says. It gives false where the line ends the conversation.
func (c *conversation) line(ctx context.Context, line string) (more bool, err error) {
	command, text, _ := strings.Cut(line, " ")
	text = strings.TrimSpace(text)
	switch {
	case !strings.HasPrefix(line, "/"):
		if line != "" {
			c.add(because.RoleUser, line)
		}
		if len(c.messages) == 0 {
			return true, because.E("chat", "", errors.New("nothing was said yet"), "type something, or /quit")
		}
		return true, c.answer(ctx, 1)
	case command == "/obs" && text != "":
		c.add(because.RoleTool, text)
	case command == "/as" && text != "":
		c.o.as = text
	case command == "/system":
		c.o.system = text
		c.restart()
	case command == "/new":
		c.restart()
	case command == "/quit":
		return false, nil
	default:
		return true, because.E("chat", line, errors.New("unknown command, or its text is missing"),
			"there are /obs TEXT, /as NAME, /system TEXT, /new and /quit")
	}
	return true, nil
}
