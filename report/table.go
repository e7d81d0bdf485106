package report

import (
	"io"
	"slices"
	"strings"

	"github.com/because-lab/because/internal/ui"
)

// Style says what the output can show. The zero Style is plain ASCII without colour, 80 columns wide.
type Style struct {
	Width   int  // columns; below 80 counts as 80
	Unicode bool // marks and rules in Unicode
	Bars    bool // a bar beside each rate, where there is room; needs Unicode
	Color   bool // ANSI colours and bold
}

// table is what is shown, apart from how: text, Markdown and HTML render the same one.
type table struct {
	title   string
	columns []column
	rows    [][]cell
	notes   []string // below the table
}

type column struct {
	head  string
	right bool // align numbers
	wrap  bool // may take several lines
	bar   bool // for terminals with room: a bar of the cell's rate
}

type cell struct {
	text string
	tone tone    // colours a verdict
	bar  float64 // 0..1, in a bar column
}

func text(s string) cell { return cell{text: s} }

const (
	gap      = 2 // spaces between columns
	barWidth = 10
	minWrap  = 12 // columns below which wrapping is worse than a long line
)

// render writes t as text of at most style.Width columns: the bar is dropped first, then columns that wrap
// share what the others leave.
func (t table) render(w io.Writer, style Style) error {
	if len(t.rows) == 0 {
		return nil
	}
	style.Width = max(80, style.Width)
	p := painter{style: style}
	columns, widths := t.layout(style)
	p.line(p.paint("1", p.ascii(t.title)))
	var heads, rules []string
	for i, c := range columns {
		heads = append(heads, align(t.columns[c].head, widths[i], t.columns[c].right))
		rules = append(rules, strings.Repeat(p.pick("─", "-"), widths[i]))
	}
	p.line(p.paint("2", strings.Join(heads, "  ")))
	p.line(p.paint("2", strings.Join(rules, "  ")))
	for _, row := range t.rows {
		t.renderRow(&p, row, columns, widths)
	}
	for _, note := range t.notes {
		for i, l := range wrapText(p.ascii(ui.Clean(note)), style.Width-2) {
			p.line(p.paint("2", []string{"* ", "  "}[min(i, 1)]+l))
		}
	}
	p.line("")
	_, err := io.WriteString(w, p.String())
	return err
}

func (t table) renderRow(p *painter, row []cell, columns, widths []int) {
	var cells [][]string
	height := 1
	for i, c := range columns {
		lines := []string{ui.Clean(row[c].text)}
		switch {
		case t.columns[c].bar:
			lines[0] = p.bar(row[c].bar, widths[i])
		case t.columns[c].wrap:
			lines = wrapText(lines[0], widths[i])
		}
		cells, height = append(cells, lines), max(height, len(lines))
	}
	for l := range height {
		var parts []string
		for i, c := range columns {
			s := ""
			if l < len(cells[i]) {
				s = cells[i][l]
			}
			s = align(p.ascii(s), widths[i], t.columns[c].right)
			parts = append(parts, p.tone(row[c].tone, s))
		}
		p.line(strings.Join(parts, "  "))
	}
}

// layout chooses the columns to show and their widths.
func (t table) layout(style Style) (columns, widths []int) {
	p := painter{style: style}
	show := func(bars bool) (fixed int) {
		columns, widths = nil, nil
		for i, c := range t.columns {
			if c.bar && !bars {
				continue
			}
			width := ui.Width(c.head)
			for _, row := range t.rows {
				width = max(width, ui.Width(p.ascii(ui.Clean(row[i].text))))
			}
			if c.bar {
				width = barWidth
			}
			columns, widths = append(columns, i), append(widths, width)
			if c.wrap {
				fixed += minWrap
			} else {
				fixed += width
			}
		}
		return fixed + gap*(len(columns)-1)
	}
	if !style.Unicode || !style.Bars || show(true) > style.Width-minWrap {
		show(false)
	}
	room := style.Width - gap*(len(columns)-1)
	var wrapped []int
	for i, c := range columns {
		if t.columns[c].wrap {
			wrapped = append(wrapped, i)
		} else {
			room -= widths[i]
		}
	}
	share(widths, wrapped, room)
	return columns, widths
}

// share gives the columns listed what they want, where room suffices; else the narrow ones get it and the
// wide ones divide the rest equally.
func share(widths, columns []int, room int) {
	slices.SortStableFunc(columns, func(a, b int) int { return widths[a] - widths[b] })
	for i, c := range columns {
		widths[c] = min(widths[c], max(minWrap, room/(len(columns)-i)))
		room -= widths[c]
	}
}

func align(s string, width int, right bool) string {
	if right {
		return strings.Repeat(" ", max(0, width-ui.Width(s))) + s
	}
	return ui.Pad(s, width)
}

// wrapText breaks s between words into lines of at most width columns; a longer word is broken inside.
func wrapText(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for line != "" && ui.Width(line)+1+ui.Width(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for ui.Width(line) > width {
			head := headOf(line, width)
			lines, line = append(lines, head), line[len(head):]
		}
	}
	if line != "" || lines == nil {
		lines = append(lines, line)
	}
	return lines
}

// headOf gives the longest start of s that fits width columns, of at least one rune.
func headOf(s string, width int) string {
	end := 0
	for i, r := range s {
		next := i + len(string(r))
		if end > 0 && ui.Width(s[:next]) > width {
			break
		}
		end = next
	}
	return s[:end]
}

// painter collects lines and knows what the output can show.
type painter struct {
	strings.Builder
	style Style
}

func (p *painter) line(s string) {
	p.WriteString(strings.TrimRight(s, " "))
	p.WriteByte('\n')
}

func (p *painter) paint(code, s string) string {
	if !p.style.Color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *painter) tone(t tone, s string) string {
	if t == "" {
		return s
	}
	return p.paint(map[tone]string{good: "32", bad: "31", open: "33"}[t], s)
}

func (p *painter) pick(unicode, ascii string) string {
	if p.style.Unicode {
		return unicode
	}
	return ascii
}

var asciiMarks = strings.NewReplacer("·", "-", "✓", "+", "✗", "x", "±", "+/-", "→", "->", "−", "-", "–", "-", "…", "...")

// ascii replaces our own signs where the output has no Unicode; texts of the study stay as they are.
func (p *painter) ascii(s string) string {
	if p.style.Unicode {
		return s
	}
	return asciiMarks.Replace(s)
}

var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// bar draws x in [0, 1] to an eighth of a column.
func (p *painter) bar(x float64, width int) string {
	if !(x >= 0) {
		return ""
	}
	n := int(min(1, x)*float64(width)*8 + 0.5)
	return strings.Repeat("█", n/8) + eighths[n%8]
}
