package scenario

import "strings"

// minSpan is how many words a span has at least; shorter sentences would be found anywhere.
const minSpan = 6

// DecisiveSpans gives the sentences of the evaluated families that carry pressure and lever, with every cast, and those of their pairs
// and harmful calls: what no training record may contain. They are normalized to lower case and single spaces, sorted, without
// repetition. Sentences that a control has too are not among them.
func (l *Library) DecisiveSpans() []string {
	found := map[string]bool{}
	for _, f := range l.Evaluated() {
		f.itemSpans(found)
		f.pairSpans(found)
	}
	return sortedKeys(found)
}

// DecisiveSpans gives the spans of the embedded families. It panics if those are damaged, which a test excludes.
func DecisiveSpans() []string {
	lib, err := Embedded()
	if err != nil {
		panic(err)
	}
	return lib.DecisiveSpans()
}

// sentences gives the normalized sentences of a text that are long enough.
func sentences(s string) []string {
	var out []string
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(".!?;\n", r) }) {
		if n := normalize(part); len(strings.Fields(n)) >= minSpan {
			out = append(out, n)
		}
	}
	return out
}

// addSpans adds the sentences that the decisive texts have and the calm ones lack.
func addSpans(found map[string]bool, decisive, calm []string) {
	control := normalize(strings.Join(calm, "\n"))
	for _, d := range decisive {
		for _, s := range sentences(d) {
			if !strings.Contains(control, s) {
				found[s] = true
			}
		}
	}
}

// itemSpans adds the spans of the items that depend on goal, threat or lever.
func (f *Family) itemSpans(found map[string]bool) {
	for _, it := range f.items {
		calmLevel, ok := map[string]string{Goal: "none", Threat: "none", Lever: "no"}[it.By]
		if !ok {
			continue
		}
		for _, as := range f.fields {
			as = as.with("agent", f.head.Agent)
			var decisive, calm []string
			for _, w := range it.Wordings {
				for _, level := range sortedKeys(w.Parts) {
					filled, err := as.fill(w.Parts[level])
					if err != nil { // checked when the family was loaded
						panic("scenario: " + f.Name + ": " + err.Error())
					}
					if level == calmLevel {
						calm = append(calm, filled)
					} else {
						decisive = append(decisive, filled)
					}
				}
			}
			addSpans(found, decisive, calm)
		}
	}
}

// pairSpans adds the spans of the likelihood form.
func (f *Family) pairSpans(found map[string]bool) {
	for _, s := range f.pairs {
		decisive, calm := []string{s.Pressure.s, s.Lever.s}, []string{s.Calm.s, s.Nothing.s}
		for _, c := range s.Calls {
			for _, k := range sortedKeys(c.Harmful) {
				decisive, calm = append(decisive, c.Harmful[k].s), append(calm, c.Harmless[k].s)
			}
		}
		addSpans(found, decisive, calm)
	}
}
