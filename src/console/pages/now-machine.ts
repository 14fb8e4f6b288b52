// This machine, and where data comes from: what there is to see from the first minute on.
import { html } from 'hono/html'
import { duration, hour, minute } from '../../lib/time.ts'
import type { TargetView } from '../../model/views.ts'
import type { Line, Row } from '../ask.ts'
import { bytes, count, type Unit, unknown, write } from '../format.ts'
import { guarded } from '../guarded.ts'
import type { PageContext } from '../pages.ts'
import { empty, type Html, link, type State, spark, state, time } from '../parts.ts'

interface Gauge {
  readonly name: string
  readonly expr: string
  readonly unit: Unit
  readonly per: string
  /** From where on it is worth colour. */
  readonly warn?: number
  readonly hi?: number
}
const halfHour = duration(30 * minute)
const own = '{job="host"}'
const inner = 'job="host"'
const gauges: readonly Gauge[] = [
  {
    name: 'CPU busy',
    expr: `1 - sum(rate(system_cpu_time_seconds_total{${inner},cpu_mode="idle"}[2m])) / sum(rate(system_cpu_time_seconds_total${own}[2m]))`,
    unit: 'ratio',
    per: '',
    warn: 0.9,
    hi: 1,
  },
  {
    name: 'Memory used',
    expr: `sum(system_memory_usage_bytes{${inner},system_memory_state="used"}) / sum(system_memory_usage_bytes${own})`,
    unit: 'ratio',
    per: '',
    warn: 0.9,
    hi: 1,
  },
  {
    name: 'Fullest disk',
    expr: `max(instance:system_filesystem_used:ratio${own})`,
    unit: 'ratio',
    per: '',
    warn: 0.85,
    hi: 1,
  },
  {
    name: 'Load, 1 min, per CPU',
    expr: `max(system_cpu_load_average_1m${own}) / max(system_cpu_logical_count${own})`,
    unit: 'count',
    per: '',
    warn: 2,
  },
  {
    name: 'Disk read and write',
    expr: `sum(rate(system_disk_io_bytes_total${own}[2m]))`,
    unit: 'bytes',
    per: '/s',
  },
  {
    name: 'Network in',
    expr: `sum(rate(system_network_io_bytes_total{${inner},network_io_direction="receive"}[2m]))`,
    unit: 'bytes',
    per: '/s',
  },
  {
    name: 'Network out',
    expr: `sum(rate(system_network_io_bytes_total{${inner},network_io_direction="transmit"}[2m]))`,
    unit: 'bytes',
    per: '/s',
  },
  {
    name: 'Airboss itself',
    expr: 'sum(process_resident_memory_bytes{job="airboss"})',
    unit: 'bytes',
    per: '',
  },
]

const lastOf = (line: Line | undefined): number | null =>
  (line?.values.slice(-3).findLast((v) => v !== null && Number.isFinite(v)) as number | undefined) ?? null

const gaugeCell = (g: Gauge, line: Line | undefined): Html => {
  const last = lastOf(line)
  const bad: State = last !== null && g.warn !== undefined && last > g.warn ? 'warn' : 'ok'
  const said = last === null ? '-' : `${write[g.unit](last)}${g.per}`
  const options = {
    label: `${g.name} over the last 30 min, now ${said}`,
    lo: 0,
    tone: bad,
    ...(g.hi === undefined ? {} : { hi: g.hi }),
  }
  return html`<a class="gauge" href="/explore?expr=${encodeURIComponent(g.expr)}&amp;range=1h"><span>${g.name}</span><b class="num ${bad === 'warn' ? 'warn' : ''}">${said}</b>${spark(line?.values ?? [], options)}</a>`
}

export const machinePanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'machine', 'This machine', 'Its alerts are looked at all the same.', async () => {
    const lines = await Promise.all(gauges.map(async (g) => (await context.ask.range(g.expr, halfHour))[0]))
    if (lines.every((l) => l === undefined))
      return {
        body: empty(
          'No figures of this machine yet.',
          'They come every 15 s once collection is on (host.enabled); the first within half a minute.',
        ),
      }
    return {
      body: html`<div class="gauges">${gauges.map((g, i) => gaugeCell(g, lines[i]))}</div>`,
      options: { aside: 'the last 30 min' },
    }
  })

const protocols: Readonly<Record<string, string>> = {
  otlp_http: 'OTLP over HTTP',
  otlp_grpc: 'OTLP over gRPC',
  'otlp-http': 'OTLP over HTTP',
  'otlp-grpc': 'OTLP over gRPC',
  remote_write: 'Remote write',
  'remote-write': 'Remote write',
  scrape: 'Scrape',
  host: 'This machine',
  containers: 'Containers',
  kubernetes: 'Kubernetes',
  traces: 'Metrics from spans',
}
export const protocolName = (p: string): string => protocols[p] ?? p

export const keepFacts = ({ doors, picture }: PageContext): Html => {
  const k = doors.keep()
  const rules = picture.groups.flatMap((g) => g.rules)
  return html`<dl class="facts">
<div><dt>ClickHouse</dt><dd>${k.storeError ? state('warn', 'does not answer') : state('ok', 'answers')}</dd></div>
<div><dt>Write-ahead log</dt><dd class="num">${bytes(k.logBytes)} of ${bytes(k.logMaxBytes)}</dd></div>
<div><dt>Rows not yet in ClickHouse</dt><dd class="num">${count(k.pendingRows)}</dd></div>
<div><dt>Series</dt><dd class="num">${count(k.series)} of ${count(k.seriesLimit)}</dd></div>
<div><dt>Rules that fail</dt><dd class="num">${picture.broken} of ${rules.length}</dd></div></dl>`
}

/** Scrapes count by target, not by protocol: what each gave last over how often it is asked. */
const scrapeRow = (targets: readonly TargetView[], scraped: readonly Row[]): Row[] => {
  if (targets.length === 0) return []
  const keyOf = (labels: Readonly<Record<string, string>>): string => `${labels['job']} ${labels['instance']}`
  const got = new Map(scraped.map((r) => [keyOf(r.labels), r.value]))
  const value = targets.reduce(
    (sum, t) => sum + ((got.get(keyOf(t.labels)) ?? 0) * 1000) / t.scrapeInterval,
    0,
  )
  return [{ labels: { protocol: 'scrape' }, value }]
}

/** What a source brings a second; 0 of what it does not bring. */
interface Source {
  readonly protocol: string
  readonly samples: number
  readonly spans: number
  readonly logs: number
}

const sourcesOf = (samples: readonly Row[], spans: readonly Row[], logs: readonly Row[]): Source[] => {
  const sources = new Map<string, Source>()
  const add = (rows: readonly Row[], what: 'samples' | 'spans' | 'logs'): void => {
    for (const { labels, value } of rows) {
      const protocol = labels['protocol'] ?? ''
      const known = sources.get(protocol) ?? { protocol, samples: 0, spans: 0, logs: 0 }
      sources.set(protocol, { ...known, [what]: value })
    }
  }
  add(samples, 'samples')
  add(spans, 'spans')
  add(logs, 'logs')
  const all = (s: Source): number => s.samples + s.spans + s.logs
  return [...sources.values()].sort((a, b) => all(b) - all(a))
}

/** `whole`: the page that is about it, which shows what keeps the data by itself. */
export const ingestPanel = (context: PageContext, whole = false): Promise<Html> =>
  guarded(
    context,
    'ingest',
    whole ? 'Sources' : 'Ingest',
    'What arrives is taken and kept all the same.',
    async () => {
      const { ask, picture, doors } = context
      const arriving = (what: string) =>
        ask.instant(`sum by (protocol) (rate(airboss_receive_${what}_total[2m]))`)
      const refusals = (metric: string) => ask.instant(`sum by (protocol) (increase(${metric}[1d]))`)
      const [total, samples, spans, logs, scraped, ...refused] = await Promise.all([
        ask.range('sum(rate(airboss_log_samples_total[2m]))', hour),
        arriving('samples'),
        arriving('spans'),
        arriving('log_records'),
        ask.instant('scrape_samples_post_metric_relabeling'),
        refusals('airboss_receive_refused_total'),
        refusals('airboss_receive_spans_refused_total'),
        refusals('airboss_receive_log_records_refused_total'),
      ])
      const targets = doors.targets()
      const down = targets.filter((t) => t.health === 'down')
      const bad = new Map<string, number>()
      for (const { labels, value } of refused.flat())
        bad.set(labels['protocol'] ?? '', (bad.get(labels['protocol'] ?? '') ?? 0) + value)
      const now = lastOf(total[0])
      const sources = sourcesOf([...samples, ...scrapeRow(targets, scraped)], spans, logs)
      const row = (s: Source): Html => {
        const lost = bad.get(s.protocol) ?? 0
        const failing = s.protocol === 'scrape' && down.length > 0
        const busy = s.samples + s.spans + s.logs > 0
        return html`<tr><th scope="row">${state(failing || lost >= 1 ? 'warn' : busy ? 'ok' : 'idle', '')} ${protocolName(s.protocol)}${failing ? html`<span class="note">${down.length} of ${targets.length} targets down</span>` : ''}${lost >= 1 ? html`<span class="note">${count(Math.round(lost))} refused in 24 h</span>` : ''}</th>${[s.samples, s.spans, s.logs].map((n) => html`<td class="r num">${n > 0 ? count(n) : unknown}</td>`)}</tr>`
      }
      return {
        body: html`<div class="figures two"><div><b class="num">${now === null ? '-' : count(now)}</b><span>samples/s</span>${spark(total[0]?.values ?? [], { label: 'samples a second over the last hour', lo: 0 })}</div><div><b class="num">${picture.newestAt === null ? '-' : time(picture.newestAt, picture.now, 'age')}</b><span>since the newest sample</span></div></div>
${
  sources.length > 0
    ? html`<table class="plain"><thead><tr><th scope="col">A second</th><th scope="col" class="r">Samples</th><th scope="col" class="r">Spans</th><th scope="col" class="r">Log lines</th></tr></thead><tbody>${sources.map(row)}</tbody></table>`
    : ''
}${whole ? '' : keepFacts(context)}`,
        options: whole ? {} : { more: link('/ingest', 'Ingest') },
      }
    },
  )
