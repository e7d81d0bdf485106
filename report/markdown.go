package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// Markdown gives report.md, in GitHub's dialect. Its figures are the SVG files that Write puts beside it.
func Markdown(r *Results, transcripts []Transcript) []byte {
	var m markdown
	m.heading(1, r.heading())
	m.paragraph("**" + escape(r.summary()) + "**")
	m.list(r.allWarnings())
	m.heading(2, "What this is")
	for _, p := range r.about() {
		m.paragraph(escape(p))
	}
	m.heading(2, "How to read it")
	m.list(r.guide())
	m.claims(r)
	m.heading(2, "Arms")
	for _, w := range r.Worlds {
		m.table(r.armsTable(w))
	}
	for _, w := range r.Worlds {
		m.table(r.curvesTable(w))
	}
	m.heading(2, "Figures")
	for _, f := range Figures(r) {
		m.paragraph(fmt.Sprintf("![%s](figures/%s.svg)", escape(f.Title), f.Name))
		m.paragraph("*" + escape(f.Title+". "+f.Caption) + "*")
	}
	m.heading(2, "Ablations and negative controls")
	m.table(r.ablationsTable())
	m.heading(2, "Checks of the instrument")
	m.table(r.checksTable())
	m.heading(2, "Contamination")
	m.paragraph(escape(r.Contamination.sentence()))
	m.list(r.Contamination.Examples)
	m.heading(2, "Data")
	m.table(r.dataTable())
	for _, d := range r.Data {
		if d.Example != "" {
			m.details(d.Name+" ("+d.World+"): one record", d.Example)
		}
	}
	m.transcripts(transcripts)
	m.heading(2, "Details")
	m.table(r.stagesTable())
	for _, w := range r.Worlds {
		m.table(r.evalsTable(w))
	}
	m.reproduce(r)
	return m.Bytes()
}

func (r *Results) heading() string {
	if r.Title != "" {
		return r.Title
	}
	return r.Study
}

type markdown struct{ bytes.Buffer }

func (m *markdown) heading(level int, s string) {
	m.WriteString(strings.Repeat("#", level) + " " + escape(s) + "\n\n")
}

// paragraph writes Markdown as it is.
func (m *markdown) paragraph(s string) {
	if s != "" {
		m.WriteString(s + "\n\n")
	}
}

func (m *markdown) list(items []string) {
	for _, item := range items {
		m.WriteString("- " + escape(item) + "\n")
	}
	if len(items) > 0 {
		m.WriteByte('\n')
	}
}

func (m *markdown) claims(r *Results) {
	m.heading(2, "Claims")
	m.table(r.claimsTable())
	for _, c := range r.Claims {
		m.heading(3, fmt.Sprintf("%s %s: %s", verdictTone(c.Verdict).mark(), c.ID, c.Verdict))
		m.paragraph(escape(c.Title + "."))
		m.list(c.explanation())
	}
}

// explanation gives what was compared, foreseen and found.
func (c Claim) explanation() []string {
	items := []string{"Compared: " + c.Contrast + " (" + c.Metric + ")", "Predicted: " + c.prediction()}
	if c.Published != "" {
		items = append(items, "Published: "+c.Published)
	}
	items = append(items, "Measured: "+c.measured(), fmt.Sprintf("Verdict: %s, because %s.", c.Verdict, c.Reason))
	if c.Note != "" {
		items = append(items, c.Note)
	}
	return items
}

func (m *markdown) table(t table) {
	if len(t.rows) == 0 {
		return
	}
	m.paragraph("**" + escape(t.title) + "**")
	var heads, rules []string
	for _, c := range t.columns {
		if c.bar {
			continue
		}
		heads = append(heads, escape(c.head))
		rules = append(rules, map[bool]string{true: "--:", false: "---"}[c.right]) // aligned right or as it comes
	}
	m.WriteString("| " + strings.Join(heads, " | ") + " |\n| " + strings.Join(rules, " | ") + " |\n")
	for _, row := range t.rows {
		var cells []string
		for i, c := range row {
			if !t.columns[i].bar {
				cells = append(cells, escape(c.text))
			}
		}
		m.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	m.WriteByte('\n')
	m.list(t.notes)
}

func (m *markdown) transcripts(transcripts []Transcript) {
	if len(transcripts) == 0 {
		return
	}
	m.heading(2, "Sample transcripts")
	m.paragraph("What the models were given, and what they did.")
	for _, group := range groupTranscripts(transcripts) {
		m.heading(3, group.title())
		for _, t := range group.items {
			m.details(t.title(), t.Prompt+"\n>>> "+t.Response)
		}
	}
}

// details writes a block that is closed at first; the content is shown as it is.
func (m *markdown) details(summary, content string) {
	fence := "```"
	for strings.Contains(content, fence) {
		fence += "`"
	}
	fmt.Fprintf(m, "<details><summary>%s</summary>\n\n%stext\n%s\n%s\n\n</details>\n\n", escape(summary), fence, strings.TrimRight(content, "\n"), fence)
}

func (m *markdown) reproduce(r *Results) {
	m.heading(2, "How to reproduce")
	if len(r.Reproduce) > 0 {
		m.paragraph("```sh\n" + strings.Join(r.Reproduce, "\n") + "\n```")
	}
	m.WriteString(reproduceProse + "\n")
}

const reproduceProse = "Same seeds, same results, byte for byte, whatever the number of cores. The numbers of this report are in results.json; " +
	"its figures are in figures/, as SVG and as Vega-Lite specifications with their data."

// special are the characters that mean something to Markdown within a line.
var special = regexp.MustCompile("[\\\\`*_{}\\[\\]<>()#+!|~$&]")

// keepPlain are signs of numbers and prose that mean nothing between spaces and digits; escaping them
// would only make the source harder to read.
var keepPlain = strings.NewReplacer(`\(`, "(", `\)`, ")", `\+`, "+", `\{`, "{", `\}`, "}", `\[`, "[", `\]`, "]")

// startOfBlock is a start of line that would make a list, a rule or an underline of it.
var startOfBlock = regexp.MustCompile(`^(\d*)([-+](?: |$)|-+$|=+$|[.)](?: |$))`)

// escape makes s plain text on one line of Markdown. Brackets stay as they are, for without "](" they make
// no link; that pair is broken up.
func escape(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = special.ReplaceAllString(s, `\$0`)
	s = keepPlain.Replace(s)
	for _, pair := range []string{"](", "][", "]:"} {
		s = strings.ReplaceAll(s, pair, `\`+pair)
	}
	return startOfBlock.ReplaceAllString(s, `$1\$2`)
}
