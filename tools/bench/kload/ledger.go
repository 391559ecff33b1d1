package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The ledger writes records from several producers and remembers where the broker said that each one is. It outlives the broker:
// a harness kills and restarts that at will, and lets the ledger compare what it was told with what is there (audit.go).
//
// Commands, one JSON object a line on stdin; one JSON answer each on stdout:
//
//	{"do":"resume"}                      start or go on writing
//	{"do":"pause","within_ms":30000}     stop writing and wait until every record sent is acknowledged or refused
//	{"do":"audit","within_ms":30000}     read everything from the start and compare (while paused)
//	{"do":"try","within_ms":5000}        one record to each partition, without retries: what the broker says to each, and how fast
//	{"do":"stats"}                       acknowledged, failed and unanswered counts
//	{"do":"mark"}                        start to measure the longest time without an acknowledgement, partition by partition
//	{"do":"gaps"}                        those times since the mark, ms, what is going on now included; and since the last one of each
//	{"do":"leaders"}                     the broker id of each partition's leader, -1 for none
//	{"do":"poison"}                      falsify one entry, so that the next audit must fail (proves that it can)
//	{"do":"quit"}
type command struct {
	Do       string `json:"do"`
	WithinMs int    `json:"within_ms"`
}

func (c command) within() time.Duration { return time.Duration(c.WithinMs) * time.Millisecond }

// entry says who wrote a record; together with the seed it determines all of the record's bytes.
type entry struct {
	writer uint32
	number uint64
}

type ledger struct {
	mu     sync.Mutex
	acked  []map[int64]entry // by partition: offset -> record
	ends   []int64           // by partition: highest log end seen by an audit
	count  int64
	refuse map[string]int64 // error text -> how many records
	twice  []string         // one offset acknowledged for two records
	gaps   []ackGap         // by partition

	writing    atomic.Bool
	unanswered atomic.Int64
	tryNumber  uint64
}

// ackGap is the longest time without an acknowledgement since a mark.
type ackGap struct {
	last    time.Time // of the mark, until there is an acknowledgement
	longest time.Duration
}

func (g *ackGap) close(now time.Time) time.Duration { return max(g.longest, now.Sub(g.last)) }

func runLedger() outcome {
	ensureTopic()
	l := &ledger{acked: make([]map[int64]entry, *partitions), ends: make([]int64, *partitions), refuse: map[string]int64{}, gaps: make([]ackGap, *partitions)}
	for i := range l.acked {
		l.acked[i] = map[int64]entry{}
	}
	for w := 0; w < *writerCount; w++ {
		go l.writeLoop(uint32(w))
	}
	answers := json.NewEncoder(os.Stdout)
	fail(answers.Encode(outcome{"do": "start", "ok": true, "writers": *writerCount, "partitions": *partitions, "seed": *seed}))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var c command
		fail(json.Unmarshal(lines.Bytes(), &c))
		if c.WithinMs == 0 {
			c.WithinMs = 30_000
		}
		start := time.Now()
		out := l.run(c)
		if out == nil {
			return nil
		}
		out["do"], out["seconds"] = c.Do, rounded(time.Since(start).Seconds(), 3)
		fail(answers.Encode(out))
	}
	return nil
}

func (l *ledger) run(c command) outcome {
	switch c.Do {
	case "resume":
		l.writing.Store(true)
		return outcome{"ok": true}
	case "pause":
		return l.pause(c.within())
	case "audit":
		return l.audit(c.within())
	case "try":
		return l.try(c.within())
	case "stats":
		return l.stats()
	case "mark":
		return l.mark()
	case "gaps":
		return l.longestGaps()
	case "leaders":
		return l.leaders(c.within())
	case "poison":
		return l.poison()
	case "quit":
		return nil
	}
	return outcome{"ok": false, "error": fmt.Sprintf("unknown command %q", c.Do)}
}

// unansweredMax is how many records of a writer may wait: so many that partitions which are not answered for some seconds do not
// stop the writer for all others.
const unansweredMax = 2000

func idempotentWriter(writer uint32) bool { return writer%2 == 0 }

// survivesKills is for clients that live through kill -9 of a broker. Killed between reading a connection's first request and
// answering it, a broker leaves an end of stream that franz-go takes for a missing TLS or SASL setting: it then gives up, for
// good, records that a retry would have brought home.
func survivesKills() kgo.Opt { return kgo.AlwaysRetryEOF() }

// A node that stands still, or is cut off, leaves requests without an answer; only this ends the wait for it, after three seconds.
const (
	produceTimeout         = 2 * time.Second
	produceTimeoutOverhead = time.Second
)

// writerClient retries quickly and for ever: it is the harness that decides how long a broker may be away.
func writerClient(writer uint32) *kgo.Client {
	opts := []kgo.Opt{
		seeds(), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(compression()),
		kgo.ProducerLinger(2 * time.Millisecond), kgo.DialTimeout(time.Second), kgo.ProduceRequestTimeout(produceTimeout),
		kgo.RequestTimeoutOverhead(produceTimeoutOverhead), kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(2 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.UnknownTopicRetries(-1),
		kgo.ClientID(fmt.Sprintf("ledger-%d", writer)), survivesKills(),
	}
	if idempotentWriter(writer) {
		// Without this option the client forgives a broker that forgot its sequence numbers.
		opts = append(opts, kgo.StopProducerOnDataLossDetected())
	} else {
		// One request at a time, so that a retry cannot overtake and order can be demanded here as well.
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	cl, err := kgo.NewClient(opts...)
	fail(err)
	return cl
}

func (l *ledger) writeLoop(writer uint32) {
	cl := writerClient(writer)
	rng := newRandom(uint64(*seed), writer, ^uint64(0))
	slots := make(chan struct{}, unansweredMax)
	pause := time.Duration(float64(*writerCount) / float64(*rate) * 1e9)
	next := time.Now()
	for number := uint64(0); ; {
		if !l.writing.Load() {
			time.Sleep(5 * time.Millisecond)
			next = time.Now()
			continue
		}
		time.Sleep(time.Until(next))
		next = next.Add(pause)
		slots <- struct{}{}
		partition := int32(rng.next() % uint64(*partitions))
		e := entry{writer, number}
		number++
		l.unanswered.Add(1)
		cl.Produce(context.Background(), e.record(partition), func(r *kgo.Record, err error) {
			l.settle(e, r, err)
			l.unanswered.Add(-1)
			<-slots
		})
	}
}

func (l *ledger) settle(e entry, r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.refuse[err.Error()]++
		return
	}
	if before, taken := l.acked[r.Partition][r.Offset]; taken {
		l.twice = append(l.twice, fmt.Sprintf("partition %d offset %d was acknowledged for %v and for %v", r.Partition, r.Offset, before, e))
	}
	l.acked[r.Partition][r.Offset] = e
	l.count++
	now, gap := time.Now(), &l.gaps[r.Partition]
	*gap = ackGap{last: now, longest: gap.close(now)}
}

func (l *ledger) mark() outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.gaps {
		l.gaps[p] = ackGap{last: time.Now()}
	}
	return outcome{"ok": true}
}

func (l *ledger) longestGaps() outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, gaps, silent := time.Now(), make([]float64, len(l.gaps)), make([]float64, len(l.gaps))
	for p := range l.gaps {
		gaps[p] = rounded(float64(l.gaps[p].close(now))/1e6, 1)
		silent[p] = rounded(float64(now.Sub(l.gaps[p].last))/1e6, 1)
	}
	return outcome{"ok": true, "gaps": gaps, "silent": silent}
}

func (l *ledger) stats() outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	refused := map[string]int64{}
	for text, n := range l.refuse {
		refused[text] = n
	}
	return outcome{"ok": true, "acked": l.count, "refused": refused, "unanswered": l.unanswered.Load()}
}

// pause resolves when nothing is on its way any more; ok is false when the broker left records unanswered for too long.
func (l *ledger) pause(within time.Duration) outcome {
	l.writing.Store(false)
	for deadline := time.Now().Add(within); l.unanswered.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	out := l.stats()
	out["ok"] = out["unanswered"] == int64(0)
	return out
}

// try asks each partition once, with a client of its own that does not retry, and enters what was acknowledged.
func (l *ledger) try(within time.Duration) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cl, err := kgo.NewClient(seeds(), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(0),
		kgo.RequestRetries(0), kgo.ProduceRequestTimeout(within), kgo.DialTimeout(time.Second))
	fail(err)
	defer cl.Close()
	type result struct {
		Partition int32   `json:"partition"`
		Offset    int64   `json:"offset"`
		Error     string  `json:"error,omitempty"`
		Ms        float64 `json:"ms"`
	}
	results := make([]result, *partitions)
	ackedCount := 0
	for p := range results {
		l.tryNumber++
		e := entry{tryWriter, l.tryNumber}
		start := time.Now()
		done := make(chan struct{})
		cl.Produce(ctx, e.record(int32(p)), func(r *kgo.Record, err error) {
			defer close(done)
			l.settle(e, r, err)
			results[p] = result{Partition: int32(p), Offset: r.Offset, Ms: rounded(float64(time.Since(start))/1e6, 3)}
			if err != nil {
				results[p].Offset, results[p].Error = -1, errorName(err)
			} else {
				ackedCount++
			}
		})
		<-done
	}
	return outcome{"ok": ackedCount == len(results), "acked": ackedCount, "results": results}
}

func errorName(err error) string {
	var protocol *kerr.Error
	if errors.As(err, &protocol) {
		return protocol.Message
	}
	return err.Error()
}

func (l *ledger) leaders(within time.Duration) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cl, err := kgo.NewClient(seeds(), kgo.DialTimeout(time.Second), survivesKills())
	fail(err)
	defer cl.Close()
	meta, err := kadm.NewClient(cl).Metadata(ctx, *topic)
	if err != nil {
		return outcome{"ok": false, "error": err.Error()}
	}
	ids := make([]int32, *partitions)
	for p := range ids {
		ids[p] = -1
		if detail, known := meta.Topics[*topic].Partitions[int32(p)]; known && detail.Err == nil {
			ids[p] = detail.Leader
		}
	}
	return outcome{"ok": true, "leaders": ids}
}

func (l *ledger) poison() outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.acked {
		for offset, e := range l.acked[p] {
			e.number++
			l.acked[p][offset] = e
			return outcome{"ok": true, "partition": p, "offset": offset}
		}
	}
	return outcome{"ok": false, "error": "nothing is acknowledged yet"}
}

func (l *ledger) logEnds(ctx context.Context, cl *kgo.Client) (starts, ends kadm.ListedOffsets, err error) {
	admin := kadm.NewClient(cl)
	for {
		starts, err = admin.ListStartOffsets(ctx, *topic)
		if err == nil {
			err = starts.Error()
		}
		if err == nil {
			ends, err = admin.ListEndOffsets(ctx, *topic)
		}
		if err == nil {
			err = ends.Error()
		}
		if err == nil && len(ends[*topic]) == *partitions {
			return starts, ends, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("the log ends are not told: %w", errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
