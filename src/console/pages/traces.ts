// Traces: the newest that fit what is asked for, or one of them as a waterfall with its log records beside it.
import { html, raw } from 'hono/html'
import { asAppError } from '../../lib/errors.ts'
import { type Instant, instant, parseDuration } from '../../lib/time.ts'
import type { TraceQuery, TraceSummary } from '../../model/stored-trace.ts'
import { count, seconds } from '../format.ts'
import type { Page, PageContext } from '../pages.ts'
import { broken, empty, type Html, head, panel, state, time } from '../parts.ts'
import { tracePage } from './trace.ts'

const ranges = [
  ['15m', '15 min'],
  ['1h', '1 h'],
  ['6h', '6 h'],
  ['1d', '24 h'],
  ['7d', '7 d'],
] as const
const shown = 100

/** What the form says; texts as they were given, so that they stand in it again. */
interface Asked {
  readonly range: string
  readonly agent: string
  readonly service: string
  readonly longer: string
  readonly failed: boolean
}

const askedOf = (query: URLSearchParams): Asked => ({
  range: ranges.some(([v]) => v === query.get('range')) ? query.get('range')! : '1h',
  agent: (query.get('agent') ?? '').trim(),
  service: (query.get('service') ?? '').trim(),
  longer: (query.get('longer') ?? '').trim(),
  failed: query.get('failed') === '1',
})

const address = (asked: Asked, change: Partial<Asked>): string => {
  const all = { ...asked, ...change }
  const set = Object.entries({ ...all, failed: all.failed ? '1' : '' }).filter(([, v]) => v !== '')
  return `/traces?${new URLSearchParams(set)}`
}

const field = (name: string, label: string, value: string, hint: string): Html =>
  html`<label class="inline">${label} <input name="${name}" value="${value}" placeholder="${hint}" autocomplete="off" spellcheck="false" maxlength="200"></label>`

const form = (asked: Asked): Html =>
  html`<form class="ask-form panel" id="ask" method="get" action="/traces"><div class="ask-row trace-ask"><div class="seg" role="group" aria-label="Range">${ranges.map(
    ([v, t]) =>
      html`<a href="${address(asked, { range: v })}"${v === asked.range ? raw(' aria-current="true"') : ''}>${t}</a>`,
  )}</div><input type="hidden" name="range" value="${asked.range}">${field('agent', 'Agent', asked.agent, 'any')}${field('service', 'Service', asked.service, 'any')}${field('longer', 'Longer than', asked.longer, '2s')}<label class="inline check"><input type="checkbox" name="failed" value="1"${asked.failed ? raw(' checked') : ''}> Failed only</label><button class="button primary">Find</button></div></form>`

const row = (t: TraceSummary, now: Instant): Html =>
  html`<tr><td>${state(t.errors > 0 ? 'crit' : 'ok', '')}</td><th scope="row"><a href="/traces?id=${t.traceId}">${t.name || 'a span without a name'}</a><span class="note">${[t.service, ...t.agents.filter((a) => a !== t.service)].filter(Boolean).join(' · ')}${t.models.length > 0 ? ` · ${t.models.join(', ')}` : ''}</span></th><td class="r num">${seconds(t.duration)}</td><td class="r num">${count(t.spans)}</td><td class="r num">${t.errors > 0 ? html`<span class="why">${count(t.errors)} failed</span>` : ''}</td><td class="r num">${time(instant(t.startAt), now)}</td></tr>`

const table = (list: readonly TraceSummary[], now: Instant): Html =>
  html`<div class="scroll" tabindex="0"><table class="plain traces"><thead><tr><th scope="col"><span class="sr">State</span></th><th scope="col">Trace</th><th scope="col" class="r">Took</th><th scope="col" class="r">Spans</th><th scope="col" class="r"><span class="sr">Failures</span></th><th scope="col" class="r">Began</th></tr></thead><tbody>${list.map((t) => row(t, now))}</tbody></table></div>`

const nothing = (asked: Asked): Html =>
  asked.agent || asked.service || asked.longer || asked.failed
    ? empty(
        'No trace fits.',
        'None in this range has a span like that. A longer range, or less of a filter, may find it.',
        html`<a class="button" href="/traces?range=${asked.range}">All of this range</a>`,
      )
    : empty(
        'No traces in this range.',
        html`Send them over OTLP: <code>OTEL_EXPORTER_OTLP_ENDPOINT</code> is this machine’s port 4318 (HTTP) or 4317 (gRPC).`,
        html`<a class="button" href="/ingest">Look at ingest</a>`,
      )

const listed = async ({ doors, picture }: PageContext, asked: Asked): Promise<Html> => {
  const least = asked.longer === '' ? null : parseDuration(asked.longer)
  if (asked.longer !== '' && least === null)
    return panel(
      'list',
      'This cannot be asked',
      broken(`${asked.longer} is no duration.`, 'Write it as 500ms, 2s or 1m30s.'),
    )
  const query: TraceQuery = {
    fromAt: instant(picture.now - parseDuration(asked.range)!),
    toAt: picture.now,
    agent: asked.agent || undefined,
    service: asked.service || undefined,
    minDuration: least === null ? undefined : least / 1000,
    error: asked.failed ? true : undefined,
    limit: shown,
  }
  const found = await doors.traces.traces(query, doors.clock.timeout(askWithin))
  return panel('list', 'Traces', found.length > 0 ? table(found, picture.now) : nothing(asked), {
    aside: found.length === shown ? `the newest ${shown}` : '',
  })
}

const askWithin = parseDuration('15s')!

const failed = ({ doors, picture }: PageContext, thrown: unknown): Html => {
  const error = asAppError(thrown)
  if (error.code === 'internal') doors.log.error({ err: thrown }, 'traces could not be read')
  return panel(
    'list',
    'No answer',
    broken(
      picture.storeError ? 'ClickHouse does not answer.' : `${error.message}.`,
      `${picture.storeError ? `${picture.storeError}. ` : ''}What arrives is kept; alerts and paging go on.`,
      html`<a class="button" href="/ingest">Look at ingest</a>`,
    ),
  )
}

const body = async (context: PageContext): Promise<Html> => {
  const id = context.query.get('id')
  const asked = askedOf(context.query)
  try {
    if (id !== null) return await tracePage(context, id.trim().toLowerCase(), askWithin)
    return html`${head('Traces', 'What agents did, step by step.')}${form(asked)}${await listed(context, asked)}`
  } catch (thrown) {
    return html`${head('Traces')}${id === null ? form(asked) : ''}${failed(context, thrown)}`
  }
}

export const tracesPage: Page = {
  key: 'traces',
  path: '/traces',
  title: 'Traces',
  scripts: [],
  pieces: () => [],
  layout: (_piece, context) => body(context) as unknown as Html,
}
