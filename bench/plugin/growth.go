package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// growth measures our plugin in an empty module with several numbers of services, the
// first of which is 0. It subtracts the cost of 0 services, and fits the rest with a
// power of the number.
func (b bench) growth(sizes []int, rounds int) error {
	empty, err := b.emptyModule()
	if err != nil {
		return err
	}
	var scenes []*scene
	for _, services := range sizes {
		requests, err := b.requests(services)
		if err != nil {
			return err
		}
		s := &scene{plugin: ours, request: filepath.Join(requests, ours.name), module: empty}
		if err := b.prepare(s); err != nil {
			return err
		}
		scenes = append(scenes, s)
	}
	if err := b.rounds(rounds, scenes); err != nil {
		return err
	}
	fmt.Printf("\n%s in an empty module, by the number of services:\n\n", ours.name)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "services\twall\tCPU\tmemory\tfiles\twritten\t")
	var wall, cpu []point
	none := scenes[0].median()
	for i, s := range scenes {
		took := s.median()
		fmt.Fprintf(table, "%d\t%.1f ms\t%.1f ms\t%.0f MB\t%d\t%.2f MB\t\n", sizes[i],
			took.wall.Seconds()*1e3, took.cpu.Seconds()*1e3, float64(took.memory)/1e6, s.written.files, s.written.megabytes())
		if i > 0 {
			wall = append(wall, beyond(sizes[i], took.wall, none.wall))
			cpu = append(cpu, beyond(sizes[i], took.cpu, none.cpu))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nWithout the cost of 0 services, wall time grows with the number to the power of %.2f, CPU time to the power of %.2f.\n", exponent(wall), exponent(cpu))
	return nil
}

// point is the logarithms of a size and of its cost.
type point struct{ size, cost float64 }

func beyond(size int, took, none time.Duration) point {
	return point{math.Log(float64(size)), math.Log(float64(max(took-none, time.Microsecond)))}
}

// exponent returns the slope of the line through points, by least squares.
func exponent(points []point) float64 {
	var size, cost float64
	for _, p := range points {
		size += p.size / float64(len(points))
		cost += p.cost / float64(len(points))
	}
	var together, alone float64
	for _, p := range points {
		together += (p.size - size) * (p.cost - cost)
		alone += (p.size - size) * (p.size - size)
	}
	return together / alone
}
