// Package evallog writes and reads Inspect's evaluation logs (.eval, version 2): a zip file with a header, one member a sample
// and a list of summaries. The format's facts are those of inspect_ai 0.3.285, whose readers accept what is written here.
//
// # Writing
//
//	w, err := evallog.Create("logs/honeypot.eval", evallog.Start{Eval: spec, Plan: plan})
//	err = w.Sample(&sample)   // from many goroutines
//	err = w.Finish(evallog.Finish{Status: evallog.Success, Results: results, Stats: stats})
//	err = w.Close()
//
// A finished sample is appended at once, in one write, to a work file NAME.eval.part: a stream of zip members without a directory. A
// killed process loses at most the sample that it was writing. NAME.eval itself is a whole zip at every moment: every few
// seconds, or when the work file has grown by a quarter, a copy with a directory takes its place by rename, in the form
// that Inspect gives to running evaluations. Copying for growth costs at most five times the final size and copying for time at most
// a twentieth of the run. Finish adds the summaries, the header and the directory, makes the work file durable and renames it to
// NAME.eval. The disk needs room for up to three times the log meanwhile. Samples are encoded and compressed by the goroutine
// that brings them; the writer keeps about 100 bytes for each.
//
// Writes reach the operating system, not necessarily the disk: a power cut, other than a kill, may cost what Close or Finish have not
// yet made durable. Members carry checksums, so Resume notices.
//
// # Resuming
//
// Resume goes on with a log that was cut off or that ended with errors. It says which samples the log has and which of them ended in an error;
// a sample that is written again takes the earlier one's place. One process writes a log; a second gets an error.
//
// # Reading
//
// Open reads logs by whatever writer: finished, running or crashed; stored, deflated or zstd members; names that occur twice (the last
// counts); condensed samples, whose texts and messages stand in pools. Summaries come by page and samples one by one, so
// a log of any size can be read in little memory. Fields that this package does not know stay in the Raw fields. Salvage
// reads what a damaged file still holds.
package evallog
