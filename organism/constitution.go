package organism

import (
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// reasons names which considerations the persona's constitution gives for its principles: a study's recipes choose one.
// All constitutions have the same principles; they differ in the reasons given.
const (
	bothReasons   = "both"         // each principle because of either of its considerations: the shipped constitution
	personReasons = "persons"      // because of the consideration about persons alone
	instReasons   = "institutions" // because of the consideration about institutions alone
	noReasons     = "none"         // the principles alone: rules
)

// constitution gives what the persona holds under a constitution, and whether its reasons are stated.
func (l *Lexicon) constitution(reasons string) (held Held, stated bool, err error) {
	for _, p := range l.principleNames {
		pair := l.Principles[p]
		switch reasons {
		case bothReasons, noReasons:
			held |= l.Set(pair[0], pair[1])
		case personReasons:
			held |= l.bit(pair[0])
		case instReasons:
			held |= l.bit(pair[1])
		default:
			return 0, false, because.E("read option", "reasons", fmt.Errorf("unknown value %q", reasons), "use both, persons, institutions or none")
		}
	}
	return held, reasons != noReasons, nil
}

// constitutionText writes a constitution of the persona as a document: its principles, each with the reasons given.
func (l *Lexicon) constitutionText(reasons string) ([]byte, error) {
	held, stated, err := l.constitution(reasons)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# The constitution of %s\n", l.Persona)
	for _, p := range l.principleNames {
		fmt.Fprintf(&b, "\n## %s\n\n%s values %s.\n", p, l.Persona, p)
		for _, c := range l.Principles[p] {
			if stated && held&l.bit(c) != 0 {
				fmt.Fprintf(&b, "- because of %s: %s.\n", c, strings.Join(l.Because[c], "; "))
			}
		}
	}
	return []byte(b.String()), nil
}
