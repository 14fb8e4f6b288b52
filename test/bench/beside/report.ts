// The table and the page `docs/performance.md`.
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'
import type { Row } from './measure.ts'
import { airbossConfig, prometheusConfig } from './peers.ts'

const figure = (value: number): string => {
  if (value >= 10_000) return `${Math.round(value / 1000)}k`
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
/** Nothing is 0 by itself: a peer that has no like of it. */
const peer = ({ prometheus }: Row): string => (prometheus > 0 ? figure(prometheus) : '-')
const ratio = ({ airboss, prometheus }: Row): string =>
  prometheus > 0 ? (airboss / prometheus).toFixed(2) : '-'

export const print = (rows: readonly Row[]): void => {
  for (const row of rows)
    console.error(
      `  ${row.what.padEnd(66)} ${figure(row.airboss).padStart(7)} ${peer(row).padStart(7)} ${row.unit.padEnd(10)} ${ratio(row)} ${row.aim ?? ''}`,
    )
}

const table = (rows: readonly Row[]): string =>
  [
    '| what | unit | Airboss | Prometheus | ratio | aim |',
    '|---|---|--:|--:|--:|---|',
    ...rows.map(
      (row) =>
        `| ${row.what} | ${row.unit} | ${figure(row.airboss)} | ${peer(row)} | ${ratio(row)} | ${row.aim ?? ''} |`,
    ),
  ].join('\n')

/** The whole page: figures, what they were taken on, how to take them again. */
export const page = (rows: readonly Row[], version: string, quick: boolean): string => `# Performance

Airboss as it is run (\`node src/main.ts serve\`, embedded engine and all) beside ${version} as Debian ships it, in one run on one
machine, driven over HTTP with the same bytes. Ratios are Airboss / Prometheus. Lower is better but for samples/s.

${table(rows)}

Taken ${new Date().toISOString().slice(0, 10)} on ${cpus().length} × ${cpus()[0]?.model.trim() ?? arch()}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, ${platform()} ${release()}, Node ${process.versions.node}${quick ? ', by the quick form (one round)' : ''}; load of
the machine over the last minute at the end ${loadavg()[0]!.toFixed(1)}. Where the load is above the number of cores trust CPU, not times.

## How it is measured

- \`npm run bench\` prints this page; \`npm run bench -- --write\` rewrites it; \`--quick\` takes a minute or so; \`--only ingest\`
  (\`otlp\`, \`queries\`, \`rules\`, \`start\`) takes a part. It wants a \`prometheus\` on the path (\`apt-get install prometheus\`).
- Both get the same requests; the order alternates between rounds; figures are medians. Answers are compared before times are taken, and a run in
  which they differ fails. Sample times lie off the grid of steps, so that it does not matter that Prometheus 2 closes windows on both sides.
- CPU is that of every process of a peer: for Airboss the main process and the embedded engine. For remote write it is counted until everything sent can be
  queried and has left the log for the store; "until at rest" goes on until the engine has merged what it wants to merge. Prometheus's like (cutting its head
  into blocks every two hours) does not fall into the run.
- Remote write goes over five connections, each with series of its own, to series met before, with times within the last ten minutes.
- Queries run over two hours of 10k series, a sample every 15 s, asked one after the other.
- Traces and logs come over OTLP/HTTP (protobuf) in requests of 500 over four connections; the time ends when all of them are in the engine's tables.
- Rules: half are thresholds on the last value, half sums of rates; each over 500 of the 10k series. The duration is what each says of its group.

Airboss's configuration:

\`\`\`yaml
${airbossConfig}\`\`\`

Prometheus's, with \`--web.enable-remote-write-receiver\`:

\`\`\`yaml
${prometheusConfig}\`\`\`

## What is aimed at

Half of Prometheus's CPU for taking samples in, and a fifth of its time for an instant \`sum by (rate)\` over 10k series. Both are held by this page: a change that
makes either worse says so in its message.

What is dear still: requests of many samples a series (the engine's insert and its merges cost as much as Prometheus's whole path), ranges older than the
head's window (each read is a statement in the engine: about 5 ms of CPU), start time and memory (two processes, one of them ClickHouse). A longer
\`storage.head.window\` keeps wider ranges in memory.

Smaller benches of single rooms: \`node test/bench/head.ts\`, \`query.ts\`, \`receive.ts\`, \`scrape.ts\`, \`store.ts\`.
`
