package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce writes records 0..n-1 as fast as the acknowledgements allow; client c of k writes every k-th.
func produce() outcome {
	ensureTopic()
	p := newPattern(*size)
	var failed atomic.Int64
	var firstError atomic.Value
	onDone := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
			firstError.CompareAndSwap(nil, err.Error())
		}
	}
	start := time.Now()
	var wg sync.WaitGroup
	for c := 0; c < *clients; c++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			cl := newClient(kgo.ProducerLinger(*linger))
			defer cl.Close()
			var s slab
			for i := c; i < *records; i += *clients {
				r := s.next(*topic, *size)
				p.write(r.Value, uint64(i), 0)
				cl.Produce(context.Background(), r, onDone)
			}
			fail(cl.Flush(context.Background()))
		}()
	}
	wg.Wait()
	out := speed(int64(*records), int64(*records)*int64(*size), start)
	out["failed"], out["ok"] = failed.Load(), failed.Load() == 0
	if e := firstError.Load(); e != nil {
		out["error"] = e
	}
	return out
}

func speed(count, bytes int64, start time.Time) outcome {
	s := time.Since(start).Seconds()
	return outcome{"records": count, "bytes": bytes, "seconds": rounded(s, 3), "records_s": rounded(float64(count)/s, 0), "mb_s": rounded(float64(bytes)/s/1e6, 2)}
}

// consume reads the topic from its start until n distinct records came, or none came for a while, and checks every one. With
// -passes it does so again and again with the same connections, so that a small topic (one that fits a cache) can be timed.
func consume() outcome {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	assigned := assignments(ctx)
	readers := make([]*kgo.Client, len(assigned))
	for i := range readers {
		readers[i] = newClient()
		defer readers[i].Close()
	}
	p := newPattern(*size)
	start := time.Now()
	var firstMs atomic.Int64
	sum := newTally(p, *records, *clients)
	for pass := 0; pass < *passes; pass++ {
		t := newTally(p, *records, *clients)
		t.onFirst = func() { firstMs.CompareAndSwap(0, max(1, time.Since(start).Milliseconds())) }
		readPass(ctx, readers, assigned, t)
		sum.merge(t)
	}
	out := sum.report(*records**passes, speed(sum.count, sum.bytes, start))
	out["first_ms"] = firstMs.Load()
	return out
}

// readPass ends when all records are known to the tally, or when none arrived for -within.
func readPass(ctx context.Context, readers []*kgo.Client, assigned []map[string]map[int32]kgo.Offset, t *tally) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(*within, cancel)
	defer alive.Stop()
	var wg sync.WaitGroup
	for i, cl := range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			cl.AddConsumePartitions(assigned[i])
			defer cl.PurgeTopicsFromConsuming(*topic)
			for {
				fetches := cl.PollFetches(ctx)
				if ctx.Err() != nil {
					return
				}
				fetches.EachError(func(topic string, partition int32, err error) {
					fmt.Fprintf(os.Stderr, "kload: %s[%d]: %v\n", topic, partition, err)
				})
				fetches.EachPartition(func(part kgo.FetchTopicPartition) {
					if len(part.Records) > 0 {
						alive.Reset(*within)
					}
					if t.add(part.Partition, part.Records) >= int64(*records) {
						cancel()
					}
				})
			}
		}()
	}
	wg.Wait()
}

// assignments deals the partitions to the clients; there are no groups in it, so it works on a broker without them.
func assignments(ctx context.Context) []map[string]map[int32]kgo.Offset {
	cl := newClient()
	defer cl.Close()
	count, err := awaitTopic(ctx, kadm.NewClient(cl))
	fail(err)
	out := make([]map[string]map[int32]kgo.Offset, min(*clients, count))
	for i := range out {
		out[i] = map[string]map[int32]kgo.Offset{*topic: {}}
	}
	for p := 0; p < count; p++ {
		out[p%len(out)][*topic][int32(p)] = kgo.NewOffset().At(0)
	}
	return out
}

func fill() outcome {
	p := produce()
	c := consume()
	return outcome{"produced": p, "consumed": c, "ok": p["ok"] == true && c["ok"] == true}
}
