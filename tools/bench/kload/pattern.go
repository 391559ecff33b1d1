package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand"
	"sort"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A value says which record it is:
//
//	0        8            16                       size
//	| number | due, ns    | text of template number % 512 ... |
//
// so that a reader can tell a lost record from a changed, repeated or reordered one without asking the writer.
const (
	patternHead   = 16
	templateCount = 512
	// Number of a record that only wakes the other side up and is not part of the run.
	wakeUp = math.MaxUint64
)

type pattern struct{ templates [][]byte }

// newPattern makes printable text (6 bits a byte of entropy, so that codecs have something to do) from a fixed seed.
func newPattern(size int) *pattern {
	rng := rand.New(rand.NewSource(1))
	p := &pattern{templates: make([][]byte, templateCount)}
	for i := range p.templates {
		text := make([]byte, size)
		for j := range text {
			text[j] = 0x20 | byte(rng.Intn(64))
		}
		p.templates[i] = text
	}
	return p
}

func (p *pattern) write(value []byte, number uint64, due int64) {
	copy(value, p.templates[number%templateCount])
	binary.LittleEndian.PutUint64(value, number)
	binary.LittleEndian.PutUint64(value[8:], uint64(due))
}

// read returns the number and due time in a value, and whether all of its bytes are what write put there.
func (p *pattern) read(value []byte) (number uint64, due int64, same bool) {
	if len(value) != len(p.templates[0]) {
		return 0, 0, false
	}
	number = binary.LittleEndian.Uint64(value)
	due = int64(binary.LittleEndian.Uint64(value[8:]))
	return number, due, bytes.Equal(value[patternHead:], p.templates[number%templateCount][patternHead:])
}

// slab hands out values and records cut from large allocations: at a million records a second the allocator would otherwise
// take a good part of the two cores that the broker needs.
type slab struct {
	values  []byte
	records []kgo.Record
}

func (s *slab) next(topic string, size int) *kgo.Record {
	if len(s.values) < size {
		s.values = make([]byte, max(size, 256<<10))
	}
	if len(s.records) == 0 {
		s.records = make([]kgo.Record, 256)
	}
	r := &s.records[0]
	s.records = s.records[1:]
	r.Topic, r.Value = topic, s.values[:size:size]
	s.values = s.values[size:]
	return r
}

// tally finds what is missing, changed, repeated or out of order among records 0..n-1. Safe for many readers.
type tally struct {
	mu         sync.Mutex
	onFirst    func() // called with the first records, if set
	pattern    *pattern
	seen       []uint64
	last       map[[2]uint64]uint64
	streams    uint64
	count      int64
	bytes      int64
	changed    int64
	duplicates int64
	unordered  int64
}

// newTally expects n records of which client c of `streams` wrote the numbers c, c+streams, ... in that order.
func newTally(p *pattern, n, streams int) *tally {
	return &tally{pattern: p, seen: make([]uint64, (n+63)/64), last: map[[2]uint64]uint64{}, streams: uint64(streams)}
}

// add takes the records of one partition in the order in which they were read and returns how many distinct ones are known now.
func (t *tally) add(partition int32, records []*kgo.Record) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onFirst != nil && len(records) > 0 {
		t.onFirst()
		t.onFirst = nil
	}
	for _, r := range records {
		number, _, same := t.pattern.read(r.Value)
		if number == wakeUp {
			continue
		}
		t.bytes += int64(len(r.Value))
		if !same || number/64 >= uint64(len(t.seen)) {
			t.changed++
			continue
		}
		bit := uint64(1) << (number % 64)
		if t.seen[number/64]&bit != 0 {
			t.duplicates++
			continue
		}
		t.seen[number/64] |= bit
		t.count++
		stream := [2]uint64{uint64(partition), number % t.streams}
		if last, known := t.last[stream]; known && number < last {
			t.unordered++
		}
		t.last[stream] = number
	}
	return t.count
}

// merge adds the counts of another pass over the same records.
func (t *tally) merge(o *tally) {
	t.count += o.count
	t.bytes += o.bytes
	t.changed += o.changed
	t.duplicates += o.duplicates
	t.unordered += o.unordered
}

func (t *tally) report(n int, out outcome) outcome {
	out["read"], out["missing"], out["changed"] = t.count, int64(n)-t.count, t.changed
	out["duplicates"], out["unordered"] = t.duplicates, t.unordered
	out["ok"] = t.count == int64(n) && t.changed == 0 && t.duplicates == 0 && t.unordered == 0
	return out
}

// quantiles of latencies in microseconds, given in milliseconds.
func quantiles(us []float64) map[string]float64 {
	sort.Float64s(us)
	q := func(p float64) float64 {
		if len(us) == 0 {
			return -1
		}
		return math.Round(us[int(p*float64(len(us)-1))]) / 1000
	}
	return map[string]float64{"p50": q(.5), "p99": q(.99), "p999": q(.999), "max": q(1)}
}

func rounded(v float64, digits int) float64 {
	m := math.Pow10(digits)
	return math.Round(v*m) / m
}
