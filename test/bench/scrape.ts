// How fast exposition text becomes columns: median of five runs, known and new series, all formats.
import { duration, instant } from '../../src/lib/time.ts'
import { BatchBuilder, defaultAdmission } from '../../src/model/batch-builder.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { ScrapeDecoder } from '../../src/receive/scrape/decode.ts'
import { ProtobufDecoder } from '../../src/receive/scrape/decode-protobuf.ts'
import type { Format } from '../../src/receive/scrape/line.ts'
import { MetadataLines } from '../../src/receive/scrape/metadata.ts'
import { encodeFamilies, pairs } from '../kit/prometheus-proto.ts'

const series = 20_000
const scrapes = 25
const runs = 5
const interval = duration(10_000)

const bodyOf = (format: Format, round: number): string => {
  const lines: string[] = []
  for (let family = 0; family < series / 100; family++) {
    lines.push(`# HELP node_family_${family}_seconds Seconds spent in family ${family}.`)
    lines.push(`# TYPE node_family_${family}_seconds ${format === 'text' ? 'counter' : 'unknown'}`)
    for (let i = 0; i < 100; i++)
      lines.push(
        `node_family_${family}_seconds{cpu="${i % 16}",mode="mode-${i}",path="/api/v1/item/${i}"} ${(round * 17.25 + i * 3.5 + family).toFixed(3)}`,
      )
  }
  if (format === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

const familiesOf = (round: number): Buffer =>
  encodeFamilies(
    Array.from({ length: series / 100 }, (_, family) => ({
      name: `node_family_${family}_seconds`,
      help: `Seconds spent in family ${family}.`,
      type: 0,
      metric: Array.from({ length: 100 }, (__, i) => ({
        label: pairs({ cpu: String(i % 16), mode: `mode-${i}`, path: `/api/v1/item/${i}` }),
        counter: { value: round * 17.25 + i * 3.5 + family },
      })),
    })),
  )

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const run = (format: Format | 'protobuf'): { known: number; fresh: number } => {
  const table = new SeriesTable(1_000_000)
  const options = {
    finish: (scraped: Map<string, string>) =>
      labelsOf({ ...Object.fromEntries(scraped), job: 'bench', instance: 'localhost:9100' }),
    honorTimestamps: () => true,
    sampleLimit: () => 0,
  }
  const decoder = new ScrapeDecoder(options)
  const binary = new ProtobufDecoder(decoder.series, new MetadataLines(), () => ({
    native: false,
    classicToo: false,
  }))
  const bodies = Array.from({ length: scrapes }, (_, i) =>
    format === 'protobuf' ? familiesOf(i) : bodyOf(format, i),
  )
  const took = bodies.map((body, i) => {
    const at = instant(1_700_000_000_000 + i * interval)
    const began = process.cpuUsage()
    const builder = new BatchBuilder(table, defaultAdmission, at, series)
    // As it comes from the wire: bytes first.
    if (format === 'protobuf') binary.decode(Buffer.from(body), builder, at)
    else decoder.decode(Buffer.from(body).toString('utf8'), format, builder, at)
    if (builder.length !== series) throw new Error(`${builder.length} samples, not ${series}`)
    const used = process.cpuUsage(began)
    return (used.user + used.system) / 1e6
  })
  const [first = 0, ...rest] = took
  return { fresh: series / first, known: (series * rest.length) / rest.reduce((a, b) => a + b, 0) }
}

for (const format of ['text', 'openmetrics', 'protobuf'] as const) {
  const results = Array.from({ length: runs }, () => run(format))
  const known = median(results.map((r) => r.known))
  const fresh = median(results.map((r) => r.fresh))
  process.stdout.write(
    `scrape ${format}: ${(known / 1e6).toFixed(2)}M samples a CPU second (${(1e6 / known).toFixed(2)} CPU s per million), new series ${(fresh / 1e6).toFixed(2)}M\n`,
  )
}
