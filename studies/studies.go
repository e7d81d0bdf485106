// Package studies holds the study files that come with the program.
package studies

import _ "embed"

// Name is the path of the default study in the source tree; messages about it name it so.
const Name = "studies/teaching-why.yaml"

// TeachingWhy is the text of the default study: does teaching the reasons change what the organism does?
//
//go:embed teaching-why.yaml
var TeachingWhy []byte
