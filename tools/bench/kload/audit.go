package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Writer number of the records of the `try` command.
const tryWriter = 0xffff

// Bytes before the pseudo-random body of a ledger record: writer, partition, number.
const ledgerHead = 16

// random is splitmix64: tiny, and the same for the same seed on every run.
type random struct{ state uint64 }

func newRandom(seed uint64, writer uint32, number uint64) *random {
	r := &random{seed*0x9e3779b97f4a7c15 ^ uint64(writer)<<48 ^ number}
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// value is 16 to 1,231 bytes long and follows from seed, writer, number and partition alone.
func (e entry) value(partition int32) []byte {
	rng := newRandom(uint64(*seed), e.writer, e.number)
	v := make([]byte, ledgerHead+int(rng.next()%1216))
	binary.LittleEndian.PutUint32(v, e.writer)
	binary.LittleEndian.PutUint32(v[4:], uint32(partition))
	binary.LittleEndian.PutUint64(v[8:], e.number)
	for i := ledgerHead; i < len(v); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], rng.next())
		copy(v[i:], word[:])
	}
	return v
}

func (e entry) record(partition int32) *kgo.Record {
	return &kgo.Record{Topic: *topic, Partition: partition, Value: e.value(partition)}
}

func (e entry) String() string { return fmt.Sprintf("writer %d record %d", e.writer, e.number) }

// findings counts what the audit finds, and keeps the first few of each kind in words.
type findings struct {
	counts map[string]int64
	words  []string
}

func (f *findings) add(kind, format string, args ...any) {
	f.counts[kind]++
	if f.counts[kind] <= 3 {
		f.words = append(f.words, kind+": "+fmt.Sprintf(format, args...))
	}
}

// audit reads every partition from its start to its end and demands:
//   - lost, changed: every acknowledged record is at its acknowledged offset, with identical bytes;
//   - phantom: nothing is there that no writer sent to that partition;
//   - duplicate: no record of an idempotent writer is there twice;
//   - unordered: each writer's records stand in the order in which it sent them (a retry of a writer that is not idempotent may
//     repeat a record, so its first occurrence counts);
//   - gap: offsets have no holes from 0 to the log end; regressed: the log end never moves back.
func (l *ledger) audit(within time.Duration) outcome {
	f := &findings{counts: map[string]int64{}}
	if l.writing.Load() || l.unanswered.Load() > 0 {
		return outcome{"ok": false, "error": "pause first"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cl, err := kgo.NewClient(seeds(), kgo.FetchMaxWait(100*time.Millisecond), kgo.DialTimeout(time.Second), kgo.MetadataMinAge(50*time.Millisecond),
		survivesKills(), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	fail(err)
	defer cl.Close()
	starts, ends, err := l.logEnds(ctx, cl)
	if err != nil {
		return outcome{"ok": false, "error": err.Error()}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	readers := make([]*partitionReader, *partitions)
	assigned := map[int32]kgo.Offset{}
	open := 0
	for p := range readers {
		start, _ := starts.Lookup(*topic, int32(p))
		end, _ := ends.Lookup(*topic, int32(p))
		if start.Offset != 0 {
			f.add("gap", "partition %d starts at %d", p, start.Offset)
		}
		if end.Offset < l.ends[p] {
			f.add("regressed", "partition %d ended at %d before, at %d now", p, l.ends[p], end.Offset)
		}
		l.ends[p] = max(l.ends[p], end.Offset)
		readers[p] = &partitionReader{partition: int32(p), next: start.Offset, end: end.Offset, acked: l.acked[p], last: map[uint32]uint64{}, seen: map[entry]bool{}, f: f}
		if start.Offset < end.Offset {
			assigned[int32(p)] = kgo.NewOffset().At(start.Offset)
			open++
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{*topic: assigned})
	total := 0
	for open > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			f.add("unreadable", "%d partitions are not read to their end in %v", open, within)
			break
		}
		fetches.EachError(func(_ string, partition int32, err error) { f.add("refused", "partition %d: %v", partition, err) })
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			reader := readers[part.Partition]
			wasOpen := reader.next < reader.end
			for _, r := range part.Records {
				reader.read(r)
				total++
			}
			if wasOpen && reader.next >= reader.end {
				open--
			}
		})
	}
	for _, reader := range readers {
		reader.finish()
	}
	for _, words := range l.twice {
		f.add("duplicate", "%s", words)
	}
	return outcome{"ok": len(f.counts) == 0, "acked": l.count, "read": total, "found": f.counts, "words": f.words}
}

type partitionReader struct {
	partition int32
	next, end int64
	acked     map[int64]entry
	checked   int
	last      map[uint32]uint64
	seen      map[entry]bool
	f         *findings
}

func (p *partitionReader) read(r *kgo.Record) {
	if r.Offset != p.next {
		p.f.add("gap", "partition %d goes from offset %d to %d", p.partition, p.next-1, r.Offset)
	}
	p.next = r.Offset + 1
	want, acked := p.acked[r.Offset]
	if acked {
		p.checked++
		if !bytes.Equal(r.Value, want.value(p.partition)) {
			p.f.add("changed", "partition %d offset %d is not %v any more", p.partition, r.Offset, want)
			return
		}
	}
	if len(r.Value) < ledgerHead {
		p.f.add("phantom", "partition %d offset %d has %d bytes", p.partition, r.Offset, len(r.Value))
		return
	}
	e := entry{binary.LittleEndian.Uint32(r.Value), binary.LittleEndian.Uint64(r.Value[8:])}
	if !acked && !bytes.Equal(r.Value, e.value(p.partition)) {
		p.f.add("phantom", "partition %d offset %d holds bytes that nobody sent there", p.partition, r.Offset)
		return
	}
	if p.seen[e] {
		if idempotentWriter(e.writer) {
			p.f.add("duplicate", "partition %d offset %d repeats %v", p.partition, r.Offset, e)
		}
		return
	}
	p.seen[e] = true
	if last, known := p.last[e.writer]; known && e.number < last {
		p.f.add("unordered", "partition %d offset %d: %v after record %d", p.partition, r.Offset, e, last)
	}
	p.last[e.writer] = e.number
}

func (p *partitionReader) finish() {
	if lost := len(p.acked) - p.checked; lost > 0 {
		p.f.counts["lost"] += int64(lost)
		p.f.words = append(p.f.words, fmt.Sprintf("lost: partition %d ends at %d and misses %d acknowledged records", p.partition, p.end, lost))
	}
}
