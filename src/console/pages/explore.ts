// Explore: ask in PromQL; the plot answers, the table is its legend, explain says what the answer cost.
import { html, raw } from 'hono/html'
import { asAppError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type { Exemplar } from '../../model/exemplar.ts'
import { count } from '../format.ts'
import type { Page, PageContext } from '../pages.ts'
import { broken, empty, type Html, head, link, panel, state } from '../parts.ts'
import { type Answered, answer, type Question, readQuestion } from '../question.ts'
import { explainPanel, notesPanel, plotPanel, tablePanel, writerOf } from './explore-answer.ts'
import { dotsOf, exemplarsOf, exemplarsPanel } from './explore-exemplars.ts'

const ranges = [
  ['15m', '15 min'],
  ['1h', '1 h'],
  ['3h', '3 h'],
  ['1d', '24 h'],
  ['7d', '7 d'],
] as const
const stepChoices = ['1s', '5s', '15s', '30s', '1m', '5m', '15m', '1h', '6h', '1d']

const address = (q: Question, change: Readonly<Record<string, string>>): string => {
  const all: Record<string, string> = {
    expr: q.expr,
    range: q.rangeText,
    step: q.stepText,
    end: q.endAt === null ? '' : String(q.endAt / 1000),
    ...change,
  }
  const set = Object.entries(all).filter(([, v]) => v !== '')
  return `/explore?${new URLSearchParams(set)}`
}

const asked: Question = readQuestion(new URLSearchParams())

const form = (q: Question, said: Html | string): Html => {
  const known = stepChoices.includes(q.stepText) || q.stepText === ''
  return html`<form class="ask-form panel" id="ask" method="get" action="/explore" data-explore>
  <div class="editor"><label for="q" class="sr">PromQL</label><textarea id="q" name="expr" rows="3" spellcheck="false" autocapitalize="off" autocomplete="off" placeholder="sum by (job) (rate(airboss_receive_samples_total[5m]))">${q.expr}</textarea></div>
  <div class="ask-row"><div class="seg" role="group" aria-label="Range">${ranges.map(
    ([v, t]) =>
      html`<a href="${address(q, { range: v, end: '' })}"${v === q.rangeText && q.endAt === null ? raw(' aria-current="true"') : ''}>${t}</a>`,
  )}</div>
  <input type="hidden" name="range" value="${q.rangeText}">${q.endAt === null ? '' : html`<input type="hidden" name="end" value="${q.endAt / 1000}">`}
  <label class="inline">Step <select name="step"><option value="">auto${q.stepText ? '' : `, ${formatDuration(q.step)}`}</option>${stepChoices.map(
    (s) => html`<option${s === q.stepText ? raw(' selected') : ''}>${s}</option>`,
  )}${known ? '' : html`<option selected>${q.stepText}</option>`}</select></label>
  <p class="answer note" role="status">${said}</p>
  <button class="button primary">Run <kbd>⇧⏎</kbd></button></div>
</form>`
}

const starts: readonly (readonly [expr: string, what: string])[] = [
  [
    '1 - sum by (instance) (rate(system_cpu_time_seconds_total{cpu_mode="idle"}[5m])) / sum by (instance) (rate(system_cpu_time_seconds_total[5m]))',
    'How busy each machine is',
  ],
  ['sum by (system_memory_state) (system_memory_usage_bytes)', 'Memory by state'],
  ['sum by (protocol) (rate(airboss_receive_samples_total[5m]))', 'Samples a second, by how they came'],
  [
    'sum by (gen_ai_agent_name) (rate(gen_ai_client_operation_duration_seconds_count[5m]))',
    'Model calls a second, by agent',
  ],
  ['sum by (agent) (rate(airboss_cost_usd_total[15m])) * 3600', 'Cost an hour, by agent'],
  ['up', 'Which targets answer'],
]

const welcome = (): Html =>
  panel(
    'start',
    'Start with one of these',
    html`<ul class="links recent">${starts.map(([expr, what]) => html`<li><a href="/explore?expr=${encodeURIComponent(expr)}&amp;range=1h"><code>${expr}</code></a><span class="note">${what}</span></li>`)}</ul>`,
  )

/** Names near to one that nothing has. */
const near = ({ doors, picture }: PageContext, name: string): string[] => {
  const span = { fromAt: (picture.now - 86_400_000) as typeof picture.now, toAt: picture.now }
  const parts = name
    .toLowerCase()
    .split(/[_:]/)
    .filter((p) => p.length > 2)
  return doors.index
    .values('__name__', [], span)
    .map((known) => ({ known, hits: parts.filter((p) => known.includes(p)).length }))
    .filter(({ hits }) => hits > 0)
    .sort((a, b) => b.hits - a.hits || a.known.length - b.known.length)
    .slice(0, 5)
    .map(({ known }) => known)
}

const nothing = (context: PageContext, a: Answered): Html => {
  const { doors } = context
  const names = a.checked.selectors.flatMap((s) =>
    s.filter((m) => m.name === '__name__' && m.op === '=').map((m) => m.value),
  )
  const span = { fromAt: a.fromAt, toAt: a.toAt }
  const missing = names.filter(
    (value) => doors.index.select([{ name: '__name__', op: '=', value }], span).length === 0,
  )
  const hints = missing.flatMap((name) => near(context, name))
  return panel(
    'plot',
    'Plot',
    html`${empty(
      'No series in this range.',
      missing.length > 0
        ? `Nothing called ${missing.join(' or ')} was seen between these times.`
        : 'The metrics are there; the labels, a comparison or a join leave nothing of them.',
    )}${hints.length > 0 ? html`<p>Did you mean</p><ul class="links recent">${hints.map((h) => html`<li><a href="/explore?expr=${encodeURIComponent(h)}"><code>${h}</code></a></li>`)}</ul>` : ''}`,
  )
}

/** `1:17: parse error: …` for people. */
const placed = (message: string): string =>
  message.replace(/^(\d+):(\d+): (?:parse error: )?/, 'Line $1, column $2: ')

const failed = (context: PageContext, q: Question, thrown: unknown): Html => {
  const error = asAppError(thrown)
  if (error.code === 'internal') context.doors.log.error({ err: thrown, expr: q.expr }, 'query failed')
  const store = context.picture.storeError
  const mine = error.code === 'bad_data' || error.code === 'limit_exceeded' || error.code === 'execution'
  const holds = mine
    ? 'Nothing else is touched by it.'
    : store
      ? `${store}. Rules, alerts and paging go on from memory, and what arrives is kept.`
      : 'Rules, alerts and paging have a queue of their own and go on.'
  return html`${form(q, '')}${panel(
    'plot',
    error.code === 'bad_data' ? 'This cannot be asked' : 'No answer',
    html`${broken(placed(error.message), holds)}`,
  )}`
}

/** One line in the result bar: how much of what, how fast. */
const says = (a: Answered): Html | string =>
  html`${state(a.lines.length > 0 ? 'ok' : 'stale', '')} ${count(a.lines.length)} series · ${count(a.points)} points · ${a.tookMs < 10 ? a.tookMs.toFixed(1) : Math.round(a.tookMs)}\u202fms`

const result = (context: PageContext, q: Question, a: Answered, exemplars: readonly Exemplar[]): Html => {
  if (a.text !== null) return panel('plot', 'Answer', html`<p><code>${a.text}</code></p>`)
  const left =
    a.lines.length === 0
      ? html`${nothing(context, a)}${notesPanel(context, a)}`
      : html`${plotPanel(context, q, a, dotsOf(exemplars))}${tablePanel(context, q, a)}${notesPanel(context, a)}`
  return html`<div class="grid"><div class="col">${left}</div><div class="col">${exemplarsPanel(exemplars, a, writerOf(context, a).write)}${explainPanel(context, q, a)}</div></div>`
}

const body = async (context: PageContext): Promise<Html> => {
  const title = head('Explore', '', link('/traces', 'Traces'))
  let q = asked
  try {
    q = readQuestion(context.query)
    if (q.expr === '') return html`${title}${form(q, '')}${welcome()}`
    const a = await answer(q, context.doors.querier, context.doors.clock)
    const exemplars = a.lines.length > 0 ? await exemplarsOf(context, a) : []
    return html`${title}${form(q, says(a))}${result(context, q, a, exemplars)}`
  } catch (thrown) {
    return html`${title}${failed(context, { ...q, expr: (context.query.get('expr') ?? '').trim() }, thrown)}`
  }
}

export const explorePage: Page = {
  key: 'explore',
  path: '/explore',
  title: 'Explore',
  scripts: ['plot.js', 'explore.js'],
  pieces: () => [],
  layout: (_piece, context) => body(context) as unknown as Html,
}
