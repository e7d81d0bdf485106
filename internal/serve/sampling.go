package serve

import "math"

// Bounds of what one request may ask for.
const (
	maxChoices     = 128  // sequences: prompts times n
	maxStops       = 16   // stop strings
	maxStopBytes   = 1024 // of one stop string
	maxTopLogProbs = 20
)

// sampling is what chats and completions have in common.
type sampling struct {
	model       string
	n           int
	stops       []string
	maxTokens   int // -1: as many as fit
	temperature float64
	topP        float64
	topK        int
	seed        uint64
	seeded      bool
	logProbs    bool
	top         int // alternatives per token
	stream      bool
	usage       bool // a last chunk with the usage
}

// ignored are parameters that don't change the answer.
var ignored = []string{
	"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
}

// neutral are parameters that are not supported, but may be given with the value that does nothing.
var neutral = []struct {
	name  string
	value float64
}{{"frequency_penalty", 0}, {"presence_penalty", 0}, {"repetition_penalty", 1}, {"min_p", 0}}

// decodeSampling takes the common parameters from a request.
func decodeSampling(o object, defaultMax int) (sampling, error) {
	p := sampling{n: 1, temperature: 1, topP: 1, maxTokens: defaultMax}
	steps := []func() error{
		func() error { return optional(o, "model", &p.model, (*field).text) },
		func() error { return optional(o, "n", &p.n, within(1, maxChoices)) },
		func() error { return optional(o, "temperature", &p.temperature, between(0, 2)) },
		func() error { return decodeTruncation(o, &p) },
		func() error { return optional(o, "stop", &p.stops, stopStrings) },
		func() error { return decodeSeed(o, &p) },
		func() error { return decodeStreaming(o, &p) },
		func() error { return refuse(o) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return sampling{}, err
		}
	}
	return p, nil
}

// within reads whole numbers in [low, high].
func within(low, high int64) func(*field) (int, error) {
	return func(f *field) (int, error) {
		i, err := f.integer(low, high)
		return int(i), err
	}
}

// between reads numbers in [low, high].
func between(low, high float64) func(*field) (float64, error) {
	return func(f *field) (float64, error) { return f.number(low, high) }
}

// decodeTruncation reads top_p and top_k, of which -1 means all as 0 does.
func decodeTruncation(o object, p *sampling) error {
	topP := o.take("top_p")
	if topP != nil {
		x, err := topP.number(0, 1)
		if err != nil {
			return err
		}
		if x == 0 {
			return topP.invalid("must be above 0; temperature 0 is greedy")
		}
		p.topP = x
	}
	if err := optional(o, "top_k", &p.topK, within(-1, math.MaxInt32)); err != nil {
		return err
	}
	p.topK = max(p.topK, 0)
	return nil
}

// decodeSeed reads a seed: any integer of 64 bits.
func decodeSeed(o object, p *sampling) error {
	f := o.take("seed")
	if f == nil {
		return nil
	}
	i, err := f.integer(math.MinInt64, math.MaxInt64)
	p.seed, p.seeded = uint64(i), true
	return err
}

// stopStrings reads one stop string or a list of them.
func stopStrings(f *field) ([]string, error) {
	if f.isString() {
		s, err := stopString(f)
		return []string{s}, err
	}
	if !f.isArray() {
		return nil, f.wrongType("a string or an array of strings")
	}
	var stops []string
	err := f.each(func(e *field) error {
		if e.index == maxStops {
			return f.invalid("more than %d stop strings", maxStops)
		}
		s, err := stopString(e)
		stops = append(stops, s)
		return err
	})
	return stops, err
}

func stopString(f *field) (string, error) {
	s, err := f.text()
	if err == nil && (s == "" || len(s) > maxStopBytes) {
		err = f.invalid("a stop string has 1 to %d bytes, this one %d", maxStopBytes, len(s))
	}
	return s, err
}

func decodeStreaming(o object, p *sampling) error {
	if err := optional(o, "stream", &p.stream, (*field).boolean); err != nil {
		return err
	}
	f := o.take("stream_options")
	if f == nil {
		return nil
	}
	if !p.stream {
		return f.invalid("is only allowed with stream")
	}
	options, err := f.object()
	if err != nil {
		return err
	}
	if err := optional(options, "include_usage", &p.usage, (*field).boolean); err != nil {
		return err
	}
	options.take("include_obfuscation") // padding against observers of the network; none is needed
	return options.done()
}

// refuse reports unsupported parameters whose value would change the answer, and drops those that don't.
func refuse(o object) error {
	for _, name := range ignored {
		o.take(name)
	}
	for _, p := range neutral {
		f := o.take(p.name)
		if f == nil {
			continue
		}
		x, err := f.number(math.Inf(-1), math.Inf(1))
		if err != nil {
			return err
		}
		if x != p.value {
			return f.unsupported("only %v is supported", p.value)
		}
	}
	if f := o.take("logit_bias"); f != nil {
		bias, err := f.object()
		if err != nil {
			return err
		}
		if len(bias.members) > 0 {
			return f.unsupported("is not supported")
		}
	}
	return nil
}

// seedOf gives the seed of a prompt's i-th choice. The first has the request's own, so that asking for more choices
// does not change it; the others are spread by the finalizer of SplitMix64.
func seedOf(seed uint64, i int) uint64 {
	if i == 0 {
		return seed
	}
	z := seed + uint64(i)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
