package chat

import (
	"bytes"
	"fmt"

	"github.com/because-lab/because"
)

// blanks are the white space that may stand around tags and is dropped there.
const blanks = " \t\r\n"

// Delta is what a piece of text adds to an answer.
type Delta struct {
	Content   string
	Reasoning string
	Calls     []because.ToolCall
	Problems  []string
}

// Stream takes an answer apart while it is being written. It holds back what might belong to a tag, white space that might
// stand before one, and calls until they are complete; a Llama3 answer that starts like a call is held back until it
// proves to be none. How the text is cut into pieces makes no difference.
type Stream struct {
	f     Format
	state func(s *Stream, end bool) bool // takes from buf; false: wants more
	buf   []byte
	out   Delta
	gap   []byte // white space before a call, needed if it proves to be none
	from  int    // buf is searched up to here
	scan  scanner
	first int  // where the first closing tag within a string of a call ends; 0: there is none
	trim  bool // drop the white space that comes next
	wrote bool // there was content
	tail  bool // nothing but white space since a call
}

// NewStream starts an answer.
func NewStream(f Format) *Stream {
	s := &Stream{f: f, state: (*Stream).start}
	if f.Thinks && f.Opened {
		s.state, s.trim = (*Stream).thinking, true
	}
	return s
}

// Push takes the next piece of the answer.
func (s *Stream) Push(text string) Delta {
	s.buf = append(s.buf, text...)
	return s.advance(false)
}

// End takes the answer as complete and gives what was held back.
func (s *Stream) End() Delta { return s.advance(true) }

func (s *Stream) advance(end bool) Delta {
	for s.state(s, end) {
	}
	d := s.out
	s.out = Delta{}
	return d
}

// take cuts n bytes off the front.
func (s *Stream) take(n int) []byte {
	b := s.buf[:n]
	s.buf = s.buf[n:]
	return b
}

// start looks for the tag that opens reasoning, which may stand at the very start only.
func (s *Stream) start(end bool) bool {
	rest := bytes.TrimLeft(s.buf, blanks)
	if s.f.Thinks {
		if bytes.HasPrefix(rest, []byte(thinkOpen)) {
			s.buf = rest[len(thinkOpen):]
			s.state, s.trim = (*Stream).thinking, true
			return true
		}
		if !end && isPrefix(rest, thinkOpen) {
			return false
		}
	}
	s.state = (*Stream).head
	return true
}

// isPrefix tells that b, which may be empty, could become tag.
func isPrefix(b []byte, tag string) bool {
	return len(b) < len(tag) && string(b) == tag[:len(b)]
}

// thinking takes reasoning up to its closing tag.
func (s *Stream) thinking(end bool) bool {
	s.dropBlanks()
	n, found := s.before(thinkClose)
	s.out.Reasoning += string(s.take(n))
	if found {
		s.buf = bytes.TrimLeft(s.buf, blanks)[len(thinkClose):]
		s.state, s.trim = (*Stream).head, true
		return true
	}
	if end {
		if len(bytes.Trim(s.buf, blanks)) > 0 {
			s.out.Reasoning += string(s.buf) // the start of a tag, after all
		}
		s.buf = nil
	}
	return false
}

// dropBlanks drops leading white space where that is due.
func (s *Stream) dropBlanks() {
	if s.trim {
		s.buf = bytes.TrimLeft(s.buf, blanks)
		s.trim = len(s.buf) == 0
	}
}

// before gives how many bytes stand before tag, less white space next to it; or, where there is no tag, how many cannot
// belong to one.
func (s *Stream) before(tag string) (n int, found bool) {
	n = bytes.Index(s.buf, []byte(tag))
	if found = n >= 0; !found {
		n = len(s.buf) - min(len(s.buf), len(tag)-1)
		for !isPrefix(s.buf[n:], tag) {
			n++
		}
	}
	return len(bytes.TrimRight(s.buf[:n], blanks)), found
}

// head is before the first content, where a call of Llama3's syntax may start.
func (s *Stream) head(end bool) bool {
	s.state = (*Stream).text
	if s.f.Calls != Llama3 {
		return true
	}
	rest := bytes.TrimLeft(s.buf, blanks)
	if !end && isPrefix(rest, llamaTag) {
		s.state = (*Stream).head
		return false
	}
	if bytes.HasPrefix(rest, []byte(llamaTag)) || bytes.HasPrefix(rest, []byte("{")) {
		s.gap = s.take(len(s.buf) - len(rest))
		s.from = 0
		s.state = (*Stream).llama
	}
	return true
}

// text takes content up to the tag that opens a call.
func (s *Stream) text(end bool) bool {
	s.dropBlanks()
	tag := map[Syntax]string{Hermes: hermesOpen, Mistral: mistralTag}[s.f.Calls]
	if tag == "" {
		s.content(s.take(len(s.buf)))
		return false
	}
	n, found := s.before(tag)
	s.content(s.take(n))
	if found {
		s.gap = s.take(bytes.Index(s.buf, []byte(tag)))
		s.from, s.scan, s.first = len(tag), scanner{}, 0
		s.state = map[Syntax]func(*Stream, bool) bool{Hermes: (*Stream).hermes, Mistral: (*Stream).mistral}[s.f.Calls]
		return true
	}
	if end {
		if !s.tail || len(bytes.Trim(s.buf, blanks)) > 0 {
			s.content(s.buf)
		}
		s.buf = nil
	}
	return false
}

func (s *Stream) content(b []byte) {
	if len(b) > 0 {
		s.out.Content += string(b)
		s.wrote, s.tail = true, false
	}
}

// called ends a call of n bytes: it becomes calls, or content with a problem.
func (s *Stream) called(n int, calls []because.ToolCall, err error) {
	raw := s.take(n)
	s.state = (*Stream).text
	if err != nil {
		s.out.Problems = append(s.out.Problems, fmt.Sprintf("not a tool call: %v", err))
		if !s.trim {
			s.content(s.gap)
		}
		s.content(raw)
		return
	}
	s.out.Calls = append(s.out.Calls, calls...)
	s.trim, s.tail = !s.wrote, true
}

// hermes takes a call up to its closing tag. A closing tag within a string of the call's JSON is part of the string.
func (s *Stream) hermes(end bool) bool {
	for {
		i := bytes.Index(s.buf[s.from:], []byte(hermesClose))
		if i < 0 {
			break
		}
		at := s.from + i
		s.scan.feed(s.buf[s.from:at])
		if !s.scan.inString {
			c, err := parseCall(s.buf[len(hermesOpen):at])
			s.called(at+len(hermesClose), []because.ToolCall{c}, err)
			return true
		}
		if s.first == 0 {
			s.first = at + len(hermesClose)
		}
		s.scan.feed(s.buf[at : at+1])
		s.from = at + 1
	}
	if !end {
		to := max(s.from, len(s.buf)-len(hermesClose)+1)
		s.scan.feed(s.buf[s.from:to])
		s.from = to
		return false
	}
	c, err := parseCall(s.buf[len(hermesOpen):])
	n := len(s.buf)
	if err != nil && s.first > 0 {
		n = s.first // the string was never closed, and the tag was one
	}
	s.called(n, []because.ToolCall{c}, err)
	return true
}

// mistral takes the list behind the tag.
func (s *Stream) mistral(end bool) bool {
	list := bytes.TrimLeft(s.buf[len(mistralTag):], blanks)
	switch {
	case len(list) == 0 && !end:
		return false
	case len(list) == 0 || list[0] != '[':
		s.called(len(mistralTag), nil, fmt.Errorf("no list after %s", mistralTag))
		return true
	}
	n := s.scan.feed(s.buf[s.from:])
	s.from += n
	if !s.scan.done && !end {
		return false
	}
	calls, err := parseList(s.buf[len(mistralTag):s.from])
	s.called(s.from, calls, err)
	return true
}

// llama takes the whole answer as calls. One that starts with an object which is no call is content.
func (s *Stream) llama(end bool) bool {
	tagged := bytes.HasPrefix(s.buf, []byte(llamaTag))
	if !end {
		if tagged || s.scan.done {
			return false
		}
		s.from += s.scan.feed(s.buf[s.from:])
		if !s.scan.done {
			return false
		}
		if _, err := parseCall(s.buf[:s.from]); err == nil {
			return false
		}
	}
	body := bytes.Trim(bytes.TrimPrefix(s.buf, []byte(llamaTag)), blanks)
	calls, err := parseObjects(body)
	if c, ok := parseBuiltin(string(body)); ok && tagged {
		calls, err = []because.ToolCall{c}, nil
	}
	n := len(s.buf)
	if err != nil && !tagged && !bytes.Contains(s.buf[:s.from], []byte(`"name"`)) {
		n, calls, err = 0, nil, nil // JSON, but nobody meant a call
		if !s.trim {
			s.content(s.gap)
		}
	}
	s.called(n, calls, err)
	s.state, s.trim = (*Stream).plain, false
	return true
}

// plain takes everything as content.
func (s *Stream) plain(bool) bool {
	s.content(s.take(len(s.buf)))
	return false
}

// scanner finds the end of a JSON value, a list or object, in pieces of text.
type scanner struct {
	depth    int
	inString bool
	escaped  bool
	done     bool
}

// feed goes through b up to the end of the value, and gives how far it came.
func (c *scanner) feed(b []byte) int {
	for i, x := range b {
		switch {
		case c.done:
			return i
		case c.escaped:
			c.escaped = false
		case c.inString:
			c.escaped = x == '\\'
			c.inString = x != '"'
		case x == '"':
			c.inString = true
		case x == '{' || x == '[':
			c.depth++
		case x == '}' || x == ']':
			c.depth--
			c.done = c.depth <= 0
		}
	}
	return len(b)
}
