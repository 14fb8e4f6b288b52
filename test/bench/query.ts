// Times the querier alone, over columns already in memory: median of 5 after warming up.
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration, instant, minute } from '../../src/lib/time.ts'
import type { SeriesColumns } from '../../src/model/columns.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import { createQuerier } from '../../src/query/querier.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const endAt = 1_800_000_000_000

/** Series with a sample every 15 s up to `endAt`: counters that now and then begin again. */
const columns = (series: number, samples: number): SeriesColumns => {
  const labels: Labels[] = []
  const start = new Uint32Array(series)
  const end = new Uint32Array(series)
  const at = new Float64Array(series * samples)
  const value = new Float64Array(series * samples)
  for (let i = 0; i < series; i++) {
    labels.push(['__name__', 'm_total', 'instance', `host-${i}:9100`, 'job', 'node', 'x', `group-${i % 50}`])
    start[i] = i * samples
    end[i] = (i + 1) * samples
    for (let k = 0, v = i; k < samples; k++, v += (i * 7 + k * 13) % 11) {
      if ((i + k) % 997 === 996) v = 0
      at[i * samples + k] = endAt - (samples - 1 - k) * 15_000 - (i % 1000)
      value[i * samples + k] = v
    }
  }
  return { labels, start, end, at, value }
}

/** Answers a `last` plan from a view of each series' last sample, as the head does, and any other with everything. */
const readerOf = (all: SeriesColumns): SeriesReader => ({
  async *read(plan) {
    yield plan.pick === 'last' ? { ...all, start: all.end.map((e) => e - 1) } : all
  },
})

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1]!

const time = async (
  name: string,
  all: SeriesColumns,
  expr: string,
  aim: string,
  range?: { hours: number; step: number },
) => {
  const querier = createQuerier({
    reader: readerOf(all),
    clock: systemClock,
    limits: { timeout: duration(120_000), series: 1e6, samples: 2e8, concurrency: 20 },
    lookback: duration(5 * minute),
    metrics: fakeMetrics(),
    log: silentLogger(),
  })
  const { signal } = new AbortController()
  const once = () =>
    range
      ? querier.range(
          expr,
          {
            fromAt: instant(endAt - range.hours * 3_600_000),
            toAt: instant(endAt),
            step: duration(range.step),
          },
          signal,
        )
      : querier.instant(expr, instant(endAt), signal)
  let rows = 0
  for (let i = 0; i < 3; i++) {
    const { value } = await once()
    rows = 'labels' in value ? value.labels.length : 1
  }
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const begunAt = performance.now()
    await once()
    times.push(performance.now() - begunAt)
  }
  console.log(
    `${name.padEnd(58)} ${median(times).toFixed(2).padStart(9)} ms   aim ${aim.padEnd(14)} rows ${rows}`,
  )
}

const tenThousand = columns(10_000, 41)
const hundredThousand = columns(100_000, 41)
const dayOfOne = columns(1, 5800)
const dayOfThousand = columns(1000, 5800)

await time(
  'instant sum by (x) (rate(m[5m])), 10k series x 41',
  tenThousand,
  'sum by (x) (rate(m_total[5m]))',
  '<= 3-5 ms',
)
await time(
  'instant sum by (x) (rate(m[5m])), 100k series x 41',
  hundredThousand,
  'sum by (x) (rate(m_total[5m]))',
  '-',
)
await time('instant rate(m[5m]), 10k series x 41', tenThousand, 'rate(m_total[5m])', '-')
await time('instant m > c, 100k series', hundredThousand, 'm_total > 100190', '<= 5 ms')
await time('instant m > bool c, 100k series', hundredThousand, 'm_total > bool 100190', '-')
await time('instant sum(m), 100k series', hundredThousand, 'sum(m_total)', '-')
await time('instant a / b, 10k series', tenThousand, 'rate(m_total[5m]) / rate(m_total[2m])', '-')
await time('instant topk(5, rate(m[5m])), 10k series', tenThousand, 'topk(5, rate(m_total[5m]))', '-')
const day = { hours: 24, step: 60_000 }
await time('range rate(m[5m]), 1 series, day, 1440 steps', dayOfOne, 'rate(m_total[5m])', '<< 1 ms', day)
await time(
  'range rate(m[5m]), 1000 series, day, 1440 steps',
  dayOfThousand,
  'rate(m_total[5m])',
  '<< 1 ms each',
  day,
)
await time(
  'range sum by (x) (rate(m[5m])), 1000 series, day',
  dayOfThousand,
  'sum by (x) (rate(m_total[5m]))',
  '-',
  day,
)
await time(
  'range avg_over_time(m[5m]), 1000 series, day',
  dayOfThousand,
  'avg_over_time(m_total[5m])',
  '-',
  day,
)
await time(
  'range max_over_time(m[1h]), 1000 series, day',
  dayOfThousand,
  'max_over_time(m_total[1h])',
  '-',
  day,
)
await time('range m, 1000 series, day', dayOfThousand, 'm_total', '-', day)
