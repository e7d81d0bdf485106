package main

import (
	"fmt"
	"time"
)

// efficiency is the share of a kernel's speed in large products that small models reach in training and sampling, which
// are made of small products and much else. Measured on the default study.
const efficiency = 0.4

// duration estimates how long work takes here, in words. It measures the machine for a tenth of a second.
func duration(flop float64, cores int) string {
	seconds := flop / (gflops(1) * 1e9 * efficiency * float64(cores))
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < 90*time.Second:
		return fmt.Sprintf("about %d seconds", int(d.Round(10*time.Second).Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("about %d minutes", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("about %.1f hours", d.Hours())
}
