// kload drives any broker that speaks the Kafka protocol, through the franz-go client, and checks what comes back.
//
//	kload produce -b HOST:PORT -t TOPIC -n RECORDS -s BYTES     as fast as acknowledgements allow
//	kload consume -b HOST:PORT -t TOPIC -n RECORDS -s BYTES     read from the start and check every record
//	kload fill    -b HOST:PORT -t TOPIC -n RECORDS -s BYTES     produce, then consume
//	kload rate    -b HOST:PORT -t TOPIC -r PER_SECOND -d 20s    open loop: latency from the time a record was due
//	kload ready   -b HOST:PORT [-t TOPIC] [-within 60s]         wait until every partition of the topic has a log end
//	kload ledger  -b HOST:PORT -t TOPIC -r PER_SECOND           interactive writer and auditor (see ledger.go)
//
// Every verb prints one JSON object on stdout (ledger: one a command) and exits with 1 when a record was lost, changed, reordered,
// duplicated or refused. Every value says which record it is, so a consumer can tell each of these apart (see pattern.go).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

var (
	brokers     = flag.String("b", "127.0.0.1:9092", "bootstrap servers, comma separated")
	topic       = flag.String("t", "kload", "topic")
	partitions  = flag.Int("p", 4, "partitions, when the topic must be created")
	replicas    = flag.Int("rf", 1, "replication factor, when the topic must be created")
	configs     = flag.String("config", "", "topic settings, when it must be created: k=v,k=v")
	records     = flag.Int("n", 1_000_000, "records")
	size        = flag.Int("s", 1024, "bytes of a record's value, at least 16")
	rate        = flag.Int("r", 10_000, "records a second (rate, ledger)")
	duration    = flag.Duration("d", 20*time.Second, "length of the run (rate)")
	warmup      = flag.Duration("warmup", 5*time.Second, "left out of the latencies, at the start of the run (rate)")
	drain       = flag.Duration("drain", 20*time.Second, "how long to wait for what is still unanswered at the end (rate)")
	acks        = flag.String("acks", "all", "all, 1 or 0")
	clients     = flag.Int("clients", 1, "clients, one set of connections each")
	linger      = flag.Duration("linger", 5*time.Millisecond, "producer linger (produce, fill)")
	batchBytes  = flag.Int("batch", 131072, "largest batch in bytes")
	codec       = flag.String("codec", "none", "none, gzip, snappy, lz4, zstd")
	idempotent  = flag.Bool("idempotent", false, "idempotent producer")
	passes      = flag.Int("passes", 1, "how often to read the topic (consume)")
	within      = flag.Duration("within", 60*time.Second, "how long to wait (ready), or to let a consumer stand still (consume, fill)")
	writerCount = flag.Int("writers", 4, "producers; the even ones are idempotent (ledger)")
	seed        = flag.Int64("seed", 1, "seed of partitions and sizes (ledger)")
)

// outcome is what a verb prints. A verb that found a fault in what the broker did sets ok to false.
type outcome map[string]any

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kload:", err)
		os.Exit(1)
	}
}

func main() {
	verbs := map[string]func() outcome{"produce": produce, "consume": consume, "fill": fill, "rate": openLoop, "ready": ready, "ledger": runLedger}
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kload produce|consume|fill|rate|ready|ledger -b HOST:PORT -t TOPIC ... (kload VERB -h lists the flags)")
		os.Exit(2)
	}
	fail(flag.CommandLine.Parse(os.Args[2:]))
	if *size < patternHead {
		fail(fmt.Errorf("-s %d: a value needs at least %d bytes to say which record it is", *size, patternHead))
	}
	out := verbs[os.Args[1]]()
	if out == nil {
		return
	}
	out["verb"] = os.Args[1]
	fail(json.NewEncoder(os.Stdout).Encode(out))
	if ok, present := out["ok"].(bool); present && !ok {
		os.Exit(1)
	}
}
