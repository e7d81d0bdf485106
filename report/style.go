package report

import (
	"os"

	"github.com/because-lab/because/internal/ui"
)

// StyleFor gives the style that suits a file: colours and bars on a terminal, plain text elsewhere. It
// heeds NO_COLOR and the locale.
func StyleFor(f *os.File) Style {
	t := ui.Detect(f, os.Getenv)
	columns := 100 // of a file
	if t.Live {
		if columns, _ = t.Size(); columns == 0 {
			columns = 80
		}
	}
	return Style{Width: columns, Unicode: t.Unicode, Bars: t.Live, Color: t.Color}
}
