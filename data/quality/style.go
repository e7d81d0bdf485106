package quality

import (
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// Rule is a rule of style that code can check. It is broken by a text that its pattern matches. Patterns are for texts in lower case with
// straight apostrophes.
type Rule struct {
	ID      string
	About   string
	Role    because.Role // of the texts that it is about; RoleAssistant stands for documents too
	Pattern *regexp.Regexp
	Where   Where
	// Hints are words of which a text has one if the pattern matches; without them every text is searched. They save time.
	Hints []string
}

// Where says in which part of a text a pattern is looked for.
type Where int

// The parts of a text. Begin and End are its first and last 300 bytes.
const (
	Anywhere Where = iota
	Begin
	End
)

const edge = 300 // bytes

func begins(id string, role because.Role, about, pattern string) Rule {
	return Rule{ID: id, About: about, Role: role, Pattern: regexp.MustCompile(`\A\W*(?:` + pattern + `)`), Where: Begin}
}

func ends(id string, role because.Role, about, pattern string) Rule {
	return Rule{ID: id, About: about, Role: role, Pattern: regexp.MustCompile(`(?:` + pattern + `)\z`), Where: End}
}

func has(id string, about, pattern string, hints ...string) Rule {
	return Rule{ID: id, About: about, Role: because.RoleAssistant, Pattern: regexp.MustCompile(pattern), Hints: hints}
}

// Rules are what the published pipeline asks of prompts (not every system prompt begins with "You are"; users neither greet nor introduce
// themselves), and turns of phrase that models wear out. That one of them occurs is no fault; that many records have it is.
var Rules = []Rule{
	begins("you-are", because.RoleSystem, `system prompts that begin with "You are"`, `you(?:'re| are)\b`),
	begins("greeting", because.RoleUser, "users that greet", `(?:hi|hello|hey|good (?:morning|afternoon|evening)|dear|greetings)\b`),
	begins("introduction", because.RoleUser, "users that introduce themselves",
		`(?:(?:hi|hello|hey)\b[^.!?\n]{0,40}[.!?,]\W*)?(?:my name is|i am called|this is \w+ (?:here|from)|i(?:'?m| am) an? [\w -]{3,40}(?:,| and | who | at | for | with | working ))`),
	ends("thanks", because.RoleUser, "users that end with thanks", `\b(?:thanks|thank you)[^\n]{0,30}`),
	begins("opens-with-praise", because.RoleAssistant, "answers that begin by praising or understanding",
		`i (?:completely |really |totally |can )?(?:understand|hear you|appreciate)|that's a (?:great|really|good|tough|difficult)|great question|what a\b|thank you for`),
	has("as-an-ai", `answers with "as an AI"`, `\bas an ai\b`, "as an ai"),
	has("important-to", `"it's important to"`, `\bit(?:'?s| is) (?:also )?(?:important|worth|crucial|essential) (?:to|noting|remembering)\b`, "important", "worth", "crucial", "essential"),
	has("ultimately", `"ultimately", "at the end of the day", "in conclusion"`, `\b(?:ultimately|at the end of the day|in conclusion|in summary|to summari[sz]e)\b`,
		"ultimately", "end of the day", "in conclusion", "in summary", "to summari"),
	has("that-said", `"that said", "that being said"`, `\bthat (?:being )?said,`, "said,"),
	has("real-question", `"the real question is"`, `\bthe (?:real|deeper|harder) question\b`, "question"),
	has("not-just-but", `"not just X but Y", "it's not X, it's Y"`,
		`\bnot (?:just|only|merely|simply)\b[^.?!\n]{1,80}\b(?:but|it's)\b|\b(?:it|that|this)(?:'s| is) not [^.?!,;\n]{1,50}[,;.—-]+ ?(?:it|that|this)(?:'s| is)\b`,
		"not just", "not only", "not merely", "not simply", "'s not ", " is not "),
	ends("offers-help", because.RoleAssistant, "answers that end with an offer", `(?:would you like (?:me|help)|let me know if|i(?:'m| am) (?:happy|here) to|want me to)[^\n]{0,120}`),
	has("worn-words", "worn words: delve, tapestry, testament to, navigate, nuanced, foster",
		`\b(?:delv(?:e|es|ed|ing)|tapestry|testament to|navigat(?:e|es|ing) (?:the|this|these|a|such)|nuanced|foster(?:s|ing)?|multifaceted|underscor(?:e|es|ing)|realm of)\b`,
		"delv", "tapestry", "testament to", "navigat", "nuanced", "foster", "multifaceted", "underscor", "realm of"),
	has("dashes", "three dashes or more", `(?s)—.*—.*—`, "—"),
}

// plain writes a text as patterns want it.
func plain(text string) string { return strings.ToLower(strings.ReplaceAll(text, "’", "'")) }

// broken tells whether a text, made plain, breaks the rule.
func (r *Rule) broken(text string) bool {
	switch r.Where {
	case Begin:
		text = text[:min(edge, len(text))]
	case End:
		text = text[max(0, len(text)-edge):]
	}
	if len(r.Hints) > 0 && !slices.ContainsFunc(r.Hints, func(h string) bool { return strings.Contains(text, h) }) {
		return false
	}
	return r.Pattern.MatchString(text)
}

// Broken lists the rules for texts of a role that a text breaks. A document is checked as RoleAssistant.
func Broken(role because.Role, text string) []Rule {
	var out []Rule
	text = plain(text)
	for _, r := range Rules {
		if r.Role == role && r.broken(text) {
			out = append(out, r)
		}
	}
	return out
}

// Overused are names that language models give to invented people far more often than people have them.
var Overused = []string{
	"Aisha", "Alex", "Aria", "Arjun", "Blackwood", "Chen", "Clara", "Daniel", "David", "Diego", "Elara", "Elena", "Elias", "Eleanor", "Emily", "Emma", "Ethan", "Evelyn",
	"Garcia", "Hiroshi", "Isabella", "James", "Jamal", "Jordan", "Kael", "Kai", "Lena", "Leo", "Liam", "Lila", "Lily", "Luna", "Marcus", "Maria", "Martinez", "Maya", "Mei",
	"Mia", "Michael", "Morgan", "Nia", "Noah", "Okafor", "Olivia", "Patel", "Priya", "Rachel", "Raj", "Riley", "Rivera", "Rodriguez", "Ruiz", "Samantha", "Sarah", "Sofia",
	"Sophia", "Tanaka", "Thompson", "Thorne", "Torres", "Vasquez", "Voss", "Whitaker", "Wong", "Zara",
}
