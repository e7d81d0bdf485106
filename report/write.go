package report

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Write puts a study's report into dir:
//
//	results.json              the numbers; Schema describes it
//	report.md, report.html    for reading
//	figures/NAME.svg          the figures
//	figures/NAME.vl.json      the same as Vega-Lite specifications
//	transcripts.jsonl         the sample transcripts
//	transcripts/WORLD-ARM.txt the same for reading
//
// Everything is made before anything is written, and each file is replaced as a whole: after an error no
// file is half-written. results.json comes last, so that where it is new, all else is.
func Write(dir string, r *Results, transcripts []Transcript) error {
	files, err := render(r, transcripts)
	if err != nil {
		return fmt.Errorf("make report of %s: %w", r.Study, err)
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(f.name)), f.data); err != nil {
			return err
		}
	}
	return nil
}

type file struct {
	name string
	data []byte
}

func render(r *Results, transcripts []Transcript) ([]file, error) {
	results, err := Encode(r)
	if err != nil {
		return nil, err
	}
	// The report shows the numbers as results.json holds them, rounding included.
	if r, err = Decode(results); err != nil {
		return nil, err
	}
	var files []file
	for _, f := range Figures(r) {
		spec, err := f.Vega()
		if err != nil {
			return nil, err
		}
		files = append(files, file{"figures/" + f.Name + ".svg", f.SVG()}, file{"figures/" + f.Name + ".vl.json", spec})
	}
	for _, g := range groupTranscripts(transcripts) {
		files = append(files, file{"transcripts/" + fileName(g.world+"-"+g.arm) + ".txt", g.text()})
	}
	lines, err := encodeTranscripts(transcripts)
	if err != nil {
		return nil, err
	}
	html, err := HTML(r, transcripts)
	if err != nil {
		return nil, err
	}
	names := map[string]int{} // two names of the study may become the same file name
	for i, f := range files {
		if names[f.name]++; names[f.name] > 1 {
			stem, ext, _ := strings.Cut(f.name, ".")
			files[i].name = fmt.Sprintf("%s-%d.%s", stem, names[f.name], ext)
		}
	}
	return append(files, file{"transcripts.jsonl", lines}, file{"report.md", Markdown(r, transcripts)},
		file{"report.html", html}, file{"results.json", results}), nil
}
