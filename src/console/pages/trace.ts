// One trace: its verdict in words, its spans as a waterfall that opens row by row, what it cost, its log records.
import { html } from 'hono/html'
import { type Duration, type Instant, instant, minute, plus } from '../../lib/time.ts'
import { type GenAiCall, genAiOf } from '../../model/gen-ai.ts'
import type { CostBranch } from '../../model/ports/cost-reports.ts'
import { type Placed, treeOrder } from '../../model/span-tree.ts'
import { mostSpansOfTrace, type StoredLog, type StoredSpan } from '../../model/stored-trace.ts'
import { count, seconds, unknown, usd } from '../format.ts'
import type { PageContext } from '../pages.ts'
import { broken, empty, type Html, head, link, panel, raw, state, time } from '../parts.ts'

const shownSpans = 1000
const shownLogs = 200

/** What is known of a span beside itself: what it says of GenAI, what it cost by itself and with everything beneath it. */
interface Known {
  readonly said: GenAiCall | null
  readonly cost: CostBranch | undefined
}

const nobody = { service: '', job: '', instance: '', version: '', attributes: {} }

/** A stored span in the shape that the vocabulary reads. */
const saidOf = (s: StoredSpan): GenAiCall | null =>
  genAiOf({
    ...s,
    kind: 'unspecified',
    status: failedSpan(s) ? 'error' : 'unset',
    resource: nobody,
  })

const failedSpan = (span: StoredSpan): boolean => span.status === 'Error'

const modelOf = (said: GenAiCall | null): string => said?.responseModel || said?.requestModel || ''

const tokens = ({ input, output }: GenAiCall['tokens']): string =>
  input === null && output === null ? '' : `${count(input ?? 0)} in, ${count(output ?? 0)} out`

/** With everything beneath it. */
const moneyOf = (cost: CostBranch | undefined): string =>
  !cost || cost.inclusive === 0
    ? ''
    : cost.inclusive === cost.direct
      ? usd(cost.direct)
      : `${usd(cost.inclusive)} with all beneath`

const chips = ({ said, cost }: Known): Html => {
  const [model, tool] = [modelOf(said), said?.tool.name ?? '']
  const list = [
    model,
    tool && `tool ${tool}`,
    model || tool ? '' : said?.agent.name,
    said ? tokens(said.tokens) : '',
    moneyOf(cost),
  ]
  return html`${list.filter(Boolean).map((text) => html`<span class="chip">${text}</span>`)}`
}

const labels = (record: Readonly<Record<string, string>>): Html =>
  html`<dl class="labels">${Object.keys(record)
    .sort()
    .map((key) => html`<div><dt>${key}</dt><dd>${record[key]}</dd></div>`)}</dl>`

const eventsOf = (span: StoredSpan): Html =>
  span.events.length === 0
    ? html``
    : html`<h3>Events</h3><ul class="span-events">${span.events.map(
        (e) =>
          html`<li><span class="num">+${seconds(Math.max(0, (e.at - span.startAt) / 1000))}</span> <b>${e.name}</b>${Object.keys(e.attributes).length > 0 ? labels(e.attributes) : ''}</li>`,
      )}</ul>`

const linksOf = (span: StoredSpan): Html =>
  span.links.length === 0
    ? html``
    : html`<p>Linked to ${span.links.map((l, i) => html`${i > 0 ? ', ' : ''}<a class="mono" href="/traces?id=${l.traceId}">${l.traceId.slice(0, 16)}</a>`)}</p>`

interface Frame {
  readonly from: number
  readonly took: number
}

/** Left and width of a span's bar, in percent of the whole. */
const bar = (span: StoredSpan, { from, took }: Frame): Html => {
  const left = took > 0 ? ((span.startAt - from) / 1000 / took) * 100 : 0
  const width = took > 0 ? (span.duration / took) * 100 : 100
  const edge = Math.min(99.5, Math.max(0, left))
  return html`<span class="bar" aria-hidden="true"><svg viewBox="0 0 100 10" preserveAspectRatio="none">${raw(
    `<rect x="${edge.toFixed(2)}" y="1" width="${Math.min(100 - edge, Math.max(0.4, width)).toFixed(2)}" height="8"/>`,
  )}</svg></span>`
}

const spanRow = ({ span, depth }: Placed<StoredSpan>, known: Known, frame: Frame): Html =>
  html`<li class="span${failedSpan(span) ? ' crit' : ''}" id="s-${span.spanId}"><details><summary><span class="span-name d${Math.min(depth, 12)}">${failedSpan(span) ? state('crit', '') : ''}<b>${span.name || 'no name'}</b> <span class="note">${span.service}</span></span>${bar(span, frame)}<span class="span-took num">${seconds(span.duration)}</span><span class="span-chips d${Math.min(depth, 12)}">${chips(known)}</span></summary><div class="span-more">${
    span.statusMessage ? html`<p class="why">${span.statusMessage}</p>` : ''
  }<p class="note">${span.kind} · begins at +${seconds(Math.max(0, (span.startAt - frame.from) / 1000))} · span <span class="mono">${span.spanId}</span>${span.scope ? ` · ${span.scope}` : ''}</p>${
    Object.keys(span.attributes).length > 0 ? labels(span.attributes) : ''
  }${eventsOf(span)}${linksOf(span)}<h3>Sent by</h3>${labels(span.resource)}</div></details></li>`

const severity = (log: StoredLog): Html =>
  log.severity >= 17
    ? state('crit', log.severityText || 'ERROR')
    : log.severity >= 13
      ? state('warn', log.severityText || 'WARN')
      : html`<span class="note">${log.severityText || (log.severity === 0 ? '' : 'INFO')}</span>`

const logRow = (log: StoredLog, now: Instant): Html =>
  html`<li class="log"><p>${severity(log)} ${time(instant(log.at), now, 'seconds')}${log.event ? html` <b>${log.event}</b>` : ''}</p><p class="log-body">${log.body || html`<span class="note">no text</span>`}</p></li>`

const logsPanel = async (
  { doors, picture }: PageContext,
  traceId: string,
  from: number,
  to: number,
  within: Duration,
): Promise<Html> => {
  const logs = await doors.traces.logs(
    {
      fromAt: plus(instant(from), -10 * minute),
      toAt: plus(instant(to), 10 * minute),
      traceId,
      limit: shownLogs,
    },
    doors.clock.timeout(within),
  )
  return panel(
    'logs',
    'Log records',
    logs.length > 0
      ? html`<ol class="log-list">${logs.toReversed().map((log) => logRow(log, picture.now))}</ol>`
      : empty('None.', 'No log record carries the id of this trace.'),
    { aside: logs.length === shownLogs ? `the newest ${shownLogs}` : '' },
  )
}

/** Models by what they were asked, from the spans that are calls of one: agents repeat the sums of theirs. */
const modelsPanel = (spans: ReadonlyMap<StoredSpan, Known>): Html => {
  const models = new Map<
    string,
    { calls: number; input: number; output: number; failed: number; usd: number }
  >()
  for (const [span, { said, cost }] of spans) {
    const model = modelOf(said)
    if (said?.kind !== 'model' || model === '') continue
    const sum = models.get(model) ?? { calls: 0, input: 0, output: 0, failed: 0, usd: 0 }
    sum.calls++
    sum.input += said.tokens.input ?? 0
    sum.output += said.tokens.output ?? 0
    sum.usd += cost?.direct ?? 0
    if (failedSpan(span)) sum.failed++
    models.set(model, sum)
  }
  if (models.size === 0) return html``
  return panel(
    'models',
    'Models',
    html`<table class="plain"><thead><tr><th scope="col">Model</th><th scope="col" class="r">Calls</th><th scope="col" class="r">In</th><th scope="col" class="r">Out</th><th scope="col" class="r">Cost</th></tr></thead><tbody>${[
      ...models,
    ].map(
      ([model, m]) =>
        html`<tr><th scope="row">${model}${m.failed > 0 ? html`<span class="why">${count(m.failed)} failed</span>` : ''}</th><td class="r num">${count(m.calls)}</td><td class="r num">${count(m.input)}</td><td class="r num">${count(m.output)}</td><td class="r num">${m.usd === 0 ? unknown : usd(m.usd)}</td></tr>`,
    )}</tbody></table>`,
    { aside: 'tokens' },
  )
}

/** What each span cost, by its id; empty, with a line in the log, where that cannot be said. */
const costsOf = async (
  { doors }: PageContext,
  traceId: string,
  within: Duration,
): Promise<{ usd: number; roots: readonly CostBranch[] }> => {
  try {
    return await doors.costs.trace(traceId, doors.clock.timeout(within))
  } catch (error) {
    doors.log.warn({ err: error, traceId }, 'what a trace cost is not shown')
    return { usd: 0, roots: [] }
  }
}

const branches = (roots: readonly CostBranch[]): Map<string, CostBranch> => {
  const all = [...roots]
  for (let i = 0; i < all.length; i++) for (const child of all[i]!.children) all.push(child)
  return new Map(all.map((b) => [b.node.spanId, b]))
}

const spent = ({ usd: all, roots }: { usd: number; roots: readonly CostBranch[] }): string => {
  if (all === 0) return ''
  const again = roots.reduce((sum, b) => sum + b.retried, 0)
  return ` · cost ${usd(all)}${again > 0 ? `, ${usd(again)} of it for calls that failed and were made again` : ''}`
}

const verdict = (
  spans: readonly StoredSpan[],
  cost: string,
  took: number,
  from: number,
  now: Instant,
): Html => {
  const failures = spans.filter(failedSpan)
  const first = failures.toSorted((a, b) => b.startAt - a.startAt)[0]
  const says = first
    ? `${first.name} failed${first.statusMessage ? `: ${first.statusMessage.slice(0, 200)}` : ''}`
    : `Nothing failed in ${seconds(took)}`
  return html`<section class="verdict ${first ? 'crit' : ''}">${state(first ? 'crit' : 'ok', '')}<div><p class="say">${says}</p><p class="sub">${count(spans.length)} spans in ${seconds(took)}${failures.length > 1 ? `, ${count(failures.length)} of them failed` : ''}${cost} · began ${time(instant(from), now)}</p></div></section>`
}

/** The page of one trace; throws what the store says when it cannot answer. */
export const tracePage = async (context: PageContext, traceId: string, within: Duration): Promise<Html> => {
  const { doors, picture } = context
  const back = link('/traces', 'All traces')
  if (!/^[0-9a-f]{32}$/.test(traceId))
    return html`${head('Trace', '', back)}${panel('trace', 'This is no trace', broken('A trace id has 32 hexadecimal digits.', 'Nothing was looked for.'))}`
  const [{ spans, cut }, costs] = await Promise.all([
    doors.traces.trace(traceId, doors.clock.timeout(within)),
    costsOf(context, traceId, within),
  ])
  const sub = html`<span class="mono">${traceId}</span>`
  if (spans.length === 0)
    return html`${head('Trace', sub, back)}${panel('trace', 'Not here', empty('No span of this trace is here.', 'It was not sent, was refused, or is past its retention (storage.retention.traces). New spans show within two seconds.'))}`
  const placed = treeOrder(spans)
  const from = Math.min(...spans.map((s) => s.startAt))
  const to = Math.max(...spans.map((s) => s.startAt + s.duration * 1000))
  const frame = { from, took: (to - from) / 1000 }
  const most = placed.slice(0, shownSpans)
  const costOf = branches(costs.roots)
  const known = new Map(spans.map((s) => [s, { said: saidOf(s), cost: costOf.get(s.spanId) }]))
  const aside = cut
    ? `the first ${shownSpans} of more than ${count(mostSpansOfTrace)}`
    : placed.length > shownSpans
      ? `the first ${shownSpans} of ${count(placed.length)}`
      : `${count(placed.length)}`
  return html`${head(placed[0]!.span.name || 'Trace', sub, back)}${verdict(spans, spent(costs), frame.took, from, picture.now)}<div class="grid trace"><div class="col">${panel(
    'spans',
    'Spans',
    html`<ol class="waterfall">${most.map((p) => spanRow(p, known.get(p.span)!, frame))}</ol>`,
    { aside },
  )}</div><div class="col">${modelsPanel(known)}${await logsPanel(context, traceId, from, to, within)}</div></div>`
}
