package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
)

//go:embed report.html.tmpl
var pageSource string

//go:embed report.css
var pageCSS string

var page = template.Must(template.New("report").Parse(pageSource))

// HTML gives report.html: one file that loads nothing from elsewhere and runs no script. All text of the
// study is escaped.
func HTML(r *Results, transcripts []Transcript) ([]byte, error) {
	data := pageData{
		R: r.prosePart(), CSS: template.CSS(pageCSS + figureCSS),
		Claims: r.claimsTable().page(), Ablations: r.ablationsTable().page(), Checks: r.checksTable().page(), Data: r.dataTable().page(),
	}
	for _, w := range r.Worlds {
		data.Arms = append(data.Arms, r.armsTable(w).page())
	}
	for _, w := range r.Worlds {
		data.Arms = append(data.Arms, r.curvesTable(w).page())
	}
	data.Details = append(data.Details, r.stagesTable().page())
	for _, w := range r.Worlds {
		data.Details = append(data.Details, r.evalsTable(w).page())
	}
	for _, f := range Figures(r) {
		// The drawing is our own markup, in which every text of the study was escaped (svg.el).
		shown := pageFigure{Name: f.Name, Title: f.Title, Caption: minus(f.Caption),
			Wide: template.HTML(f.inline(wide, f.Name+"-w", false)), Narrow: template.HTML(f.inline(narrow, f.Name+"-n", false))}
		if f.Name == "claims" {
			data.Forest = &shown
			continue
		}
		data.Figures = append(data.Figures, shown)
	}
	for _, g := range groupTranscripts(transcripts) {
		group := pageGroup{Title: g.title()}
		for _, t := range g.items {
			group.Items = append(group.Items, pageTranscript{t.title(), t.Outcome, string(t.tone()), t.Prompt, t.Response})
		}
		data.Groups = append(data.Groups, group)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("render report.html: %w", err)
	}
	return out.Bytes(), nil
}

// The types below are what the template reads.
type (
	pageData struct {
		R                               pageProse
		CSS                             template.CSS
		Forest                          *pageFigure
		Claims, Ablations, Checks, Data pageTable
		Arms, Details                   []pageTable
		Figures                         []pageFigure
		Groups                          []pageGroup
	}
	pageProse struct {
		Heading, Summary, Contaminated, Reproduce string
		Warnings, About, Guide, Hits, Commands    []string
		ClaimCards, AblationCards                 []pageClaim
		Examples                                  []pageExample
	}
	pageClaim struct {
		ID, Title, Verdict, Tone, Mark string
		Explanation                    []string
		Seeds                          pageTable
	}
	pageExample struct{ Name, Text string }
	pageFigure  struct {
		Name, Title, Caption string
		Wide, Narrow         template.HTML
	}
	pageGroup struct {
		Title string
		Items []pageTranscript
	}
	pageTranscript struct{ Title, Outcome, Tone, Prompt, Response string }
	pageTable      struct {
		Title   string
		Columns []pageColumn
		Rows    [][]pageCell
		Notes   []string
	}
	pageColumn struct{ Head, Class string }
	pageCell   struct {
		Text, Class string
		Bar         bool
		Percent     string
	}
)

func (r *Results) prosePart() pageProse {
	p := pageProse{Heading: r.heading(), Summary: r.summary(), Contaminated: r.Contamination.sentence(), Reproduce: reproduceProse,
		Warnings: r.allWarnings(), About: r.about(), Guide: minusAll(r.guide()), Hits: r.Contamination.Examples, Commands: r.Reproduce}
	cards := func(claims []Claim) (out []pageClaim) {
		for _, c := range claims {
			t := verdictTone(c.Verdict)
			out = append(out, pageClaim{c.ID, c.Title, string(c.Verdict), string(t), t.mark(), minusAll(c.explanation()), c.seedsTable().page()})
		}
		return out
	}
	p.ClaimCards, p.AblationCards = cards(r.Claims), cards(r.Ablations)
	for _, d := range r.Data {
		if d.Example != "" {
			p.Examples = append(p.Examples, pageExample{d.Name + " (" + d.World + ")", d.Example})
		}
	}
	return p
}

func (t table) page() pageTable {
	p := pageTable{Title: t.title, Notes: t.notes}
	for _, c := range t.columns {
		p.Columns = append(p.Columns, pageColumn{c.head, c.class()})
	}
	for _, row := range t.rows {
		var cells []pageCell
		for i, c := range row {
			shown := pageCell{Text: minus(c.text), Class: p.Columns[i].Class, Bar: t.columns[i].bar}
			switch {
			case c.tone != "":
				shown.Class = string(c.tone)
			case strings.HasSuffix(t.columns[i].head, "[95 %]"):
				shown.Class = "nowrap"
			}
			if shown.Bar {
				shown.Percent = fmt.Sprintf("%.1f", 100*math.Min(1, math.Max(0, c.bar)))
			}
			cells = append(cells, shown)
		}
		p.Rows = append(p.Rows, cells)
	}
	return p
}

// class gives the column's class in the style sheet.
func (c column) class() string {
	switch {
	case c.bar:
		return "bar"
	case c.right:
		return "num"
	}
	return ""
}

var typeset = strings.NewReplacer("[-", "[−", " -0", " −0", " %", "\u00a0%", "± ", "±")

// minus writes the negative numbers of effects with a minus sign in place of a hyphen, and keeps a number
// and its percent sign on one line.
func minus(s string) string {
	s = typeset.Replace(s)
	if strings.HasPrefix(s, "-0") || strings.HasPrefix(s, "-1") {
		s = "−" + s[1:]
	}
	return s
}

func minusAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = minus(s)
	}
	return out
}
