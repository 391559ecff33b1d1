package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// openLoop sends record k at start + k/rate whether or not earlier ones were answered, and counts its latency from that due time:
// a broker that stands still is charged for the queue that it causes. `lag` is how late the generator itself handed records to
// its client; it is part of both latencies. Records still unanswered at the end count with the time they have waited so far.
func openLoop() outcome {
	ensureTopic()
	p := newPattern(*size)
	total := int(float64(*rate) * duration.Seconds())
	acked, seen, lag := make([]atomic.Int64, total), make([]int64, total), make([]int64, total)
	var failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	consumer := newClient(kgo.ConsumeTopics(*topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	awake, done := make(chan struct{}), make(chan struct{})
	t := newTally(p, total, 1)
	go readBack(ctx, consumer, t, seen, awake, done)
	producer := newClient(kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.MaxBufferedRecords(total+1000), kgo.MaxBufferedBytes(total**size+(64<<20)))
	wake(ctx, producer, p, awake)

	start := time.Now().Add(50 * time.Millisecond)
	at := func(k int) time.Time { return start.Add(time.Duration(float64(k) / float64(*rate) * 1e9)) }
	var s slab
	for k := 0; k < total; {
		due := at(k)
		now := time.Now()
		if wait := due.Sub(now); wait > 0 {
			time.Sleep(wait)
			continue
		}
		r := s.next(*topic, *size)
		p.write(r.Value, uint64(k), due.UnixNano())
		i := k
		lag[i] = int64(now.Sub(due))
		producer.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
				return
			}
			acked[i].Store(int64(time.Since(due)))
		})
		k++
	}
	sent := time.Since(start).Seconds()
	flushed, stop := context.WithTimeout(ctx, *drain)
	drained := producer.Flush(flushed) == nil
	stop()
	waited := func(k int) float64 { return float64(time.Since(at(k))) / 1e3 }
	if drained {
		select {
		case <-done:
		case <-time.After(*drain):
		}
	}
	cancel()
	<-done
	from := min(total, int(float64(*rate)*warmup.Seconds()))
	ack, e2e, own := make([]float64, 0, total), make([]float64, 0, total), make([]float64, 0, total)
	unanswered := 0
	for k := from; k < total; k++ {
		own = append(own, float64(lag[k])/1e3)
		if v := acked[k].Load(); v != 0 {
			ack = append(ack, float64(v)/1e3)
		} else {
			unanswered++
			ack = append(ack, waited(k))
		}
		if seen[k] != 0 {
			e2e = append(e2e, float64(seen[k])/1e3)
		} else {
			e2e = append(e2e, waited(k))
		}
	}
	out := outcome{
		"rate": *rate, "sent_s": rounded(float64(total)/sent, 0), "failed": failed.Load(), "unanswered": unanswered, "held": drained,
		"ack": quantiles(ack), "e2e": quantiles(e2e), "lag": quantiles(own),
	}
	t.report(total, out)
	// Reordering across partitions or pipelined requests of a non-idempotent producer is not a loss.
	out["ok"] = failed.Load() == 0 && unanswered == 0 && t.count == int64(total) && t.changed == 0
	return out
}

func readBack(ctx context.Context, cl *kgo.Client, t *tally, seen []int64, awake, done chan struct{}) {
	defer close(done)
	defer cl.Close()
	asleep := true
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now().UnixNano()
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			if asleep {
				asleep = false
				close(awake)
			}
			for _, r := range part.Records {
				if number, due, _ := t.pattern.read(r.Value); number < uint64(len(seen)) && seen[number] == 0 {
					seen[number] = now - due
				}
			}
			t.add(part.Partition, part.Records)
		})
		if t.count >= int64(len(seen)) {
			return
		}
	}
}

// wake sends records that are not counted until the consumer sees one, so that connections, metadata and producer state exist
// on both sides before the first record is due.
func wake(ctx context.Context, producer *kgo.Client, p *pattern, awake chan struct{}) {
	var s slab
	for deadline := time.Now().Add(*within); time.Now().Before(deadline); {
		for i := 0; i < *partitions; i++ {
			r := s.next(*topic, *size)
			p.write(r.Value, 0, 0)
			for j := range 8 {
				r.Value[j] = 0xff
			}
			producer.Produce(ctx, r, nil)
		}
		fail(producer.Flush(ctx))
		select {
		case <-awake:
			time.Sleep(300 * time.Millisecond)
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	fail(fmt.Errorf("the consumer saw nothing in %v", *within))
}
