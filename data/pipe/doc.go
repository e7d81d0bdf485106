// Package pipe runs recipes: lists of named stages that turn a source of items into training records with a writer model.
//
// An Item is a set of named texts. A stage takes items one at a time and gives items: Ask sends one request, made from a prompt file and the
// item's texts, and reads the answer into texts; Map is code; Filter keeps or drops; Do is code that may ask as often as it likes. Each of
// them works on many items at once, with no barrier between stages. InOrder sees the items one after the other in their order, and All sees
// them all at once.
//
// # What is promised
//
// Records come in the order of the source, whatever the concurrency, and equal seeds, recipes, models and answers give equal bytes. Every
// answer is kept under a hash of prompt file, stage, version, model, parameters and input, so that a run that was killed repeats no request but
// those that were under way, and a changed prompt file repeats its stage and what follows from other answers. Records, card and lineage are put
// in place whole, at the end.
//
// Answers that are empty, refused, cut off, moderated, of the wrong shape, or that repeat the injected instruction are asked for again with the
// reason, a few times; an item that gets no good answer is dropped, and the card counts it with the reason. An item whose request failed is not
// dropped: the run ends with an error that says so, and asks for it again the next time.
//
// # What a record was made from
//
// Each record names recipe, version, seed, models, principle, and the hashes of each stage's prompt, input and output. The file beside it,
// RECORDS.lineage, holds every text in between, from which Explain tells a record's story.
package pipe
