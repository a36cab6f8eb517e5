"""The speed of an encoder: throughput, latency of single queries, memory, and the ratio to another encoder."""
