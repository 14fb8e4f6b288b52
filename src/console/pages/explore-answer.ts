// The answer's panels: plot, table as its legend, notes, and what it cost.
import { html } from 'hono/html'
import { formatDuration } from '../../lib/time.ts'
import { recordOf } from '../../model/labels.ts'
import { printMatcher } from '../../model/matcher.ts'
import { clockText, count, dayText, length, type Unit, unitOf, unknown, write } from '../format.ts'
import type { PageContext } from '../pages.ts'
import { type Html, type PlotDot, panel, plot, spark, state, time } from '../parts.ts'
import { alertUnit, limitOf } from '../picture.ts'
import type { Answered, AnswerLine, Question } from '../question.ts'
import { namedUnit } from '../units.ts'

const drawn = 12
const listed = 100

interface Writer {
  readonly unit: Unit
  readonly suffix: string
  readonly write: (n: number) => string
}

const metricsOf = (a: Answered): string[] => [
  ...new Set(
    a.checked.selectors.flatMap((s) =>
      s.filter((m) => m.name === '__name__' && m.op === '=').map((m) => m.value),
    ),
  ),
]

/** The unit the answer is in: by the metric's own word or its name; a quotient of two metrics has none but a ratio's. */
export const writerOf = ({ doors }: PageContext, a: Answered): Writer => {
  const expr = a.checked.text
  const perSecond = /\b(i?rate|deriv)\(/.test(expr)
  const quotient = /\)\s*\/|\}\s*\/|\w\s*\/\s*[a-z(]/i.test(expr)
  const known = alertUnit(expr)
  const plain = (unit: Unit, suffix = ''): Writer => ({
    unit,
    suffix,
    write: (n) => `${write[unit](n)}${Number.isFinite(n) ? suffix : ''}`,
  })
  const mean = /_(seconds|bytes|usd)_sum\b.*\/.*_\1_count\b/s.exec(expr)
  if (mean) return plain(mean[1] as Unit)
  if (quotient) return plain(/:ratio/.test(expr) ? 'ratio' : 'count')
  if (/\bcount\(|_count\b|\bcount by/.test(expr)) return plain('count', perSecond ? '/s' : '')
  if (known !== 'count') return plain(known, perSecond && (known === 'bytes' || known === 'usd') ? '/s' : '')
  const metrics = metricsOf(a)
  if (metrics.length === 1 && !perSecond) {
    const metric = metrics[0]!
    const named = namedUnit(doors.metadata(metric)?.unit || (/_([a-z]+)$/.exec(metric)?.[1] ?? ''))
    if (named) return { unit: 'count', suffix: named.symbol, write: named.write }
  }
  return plain(unitOf(expr), perSecond ? '/s' : '')
}

/** Without its limit an alerting rule's expression is what can be drawn. */
const withoutLimit = (query: string): string =>
  query.replace(/\s*(>=|<=|==|!=|>|<)\s*(?:bool\s+)?-?[\d.e+]+\s*$/i, '')

const ruleOf = ({ picture }: PageContext, a: Answered) =>
  picture.groups
    .flatMap((g) => g.rules)
    .find(
      (r) => r.type === 'alerting' && limitOf(r.query) !== null && withoutLimit(r.query) === a.checked.text,
    )

const edges = (l: AnswerLine): { last: number | null; lastIndex: number } => {
  const lastIndex = l.values.findLastIndex((v) => v !== null)
  return { last: l.values[lastIndex] ?? null, lastIndex }
}

const sentence = (a: Answered, w: Writer): string => {
  const first = a.lines[0]!
  const { last } = edges(first)
  const known = first.values.filter((v): v is number => v !== null)
  const most = known.reduce((m, v) => Math.max(m, v), Number.NEGATIVE_INFINITY)
  const least = known.reduce((m, v) => Math.min(m, v), Number.POSITIVE_INFINITY)
  const span = `between ${w.write(least)} and ${w.write(most)}`
  if (a.lines.length === 1) return `Now ${last === null ? unknown : w.write(last)}, ${span} in this range.`
  return `${first.label} is highest with ${last === null ? unknown : w.write(last)}, ${span} in this range.`
}

export const plotPanel = (context: PageContext, q: Question, a: Answered, dots: readonly PlotDot[]): Html => {
  const w = writerOf(context, a)
  const rule = ruleOf(context, a)
  const limit = rule ? limitOf(rule.query) : null
  const lines = a.lines.slice(0, drawn)
  const hidden = a.lines.length - lines.length
  const aside = `${dayText(a.fromAt)} ${clockText(a.fromAt)} to ${clockText(a.toAt)}, step ${formatDuration(a.step)}`
  return panel(
    'plot',
    'Plot',
    html`${plot(
      'answer',
      {
        t: a.times,
        series: lines.map((l) => ({ key: l.key, label: l.label, values: l.values })),
        unit: w.unit,
        ...(w.suffix ? { suffix: w.suffix } : {}),
        height: 320,
        from: a.fromAt,
        to: a.toAt,
        dots,
        ...(limit && rule
          ? { threshold: { value: limit.value, label: `${rule.name} ${limit.text}`, below: !limit.above } }
          : {}),
      },
      { title: q.expr.length > 90 ? `${q.expr.slice(0, 88)}…` : q.expr, says: sentence(a, w), aside },
    )}${hidden > 0 ? html`<p class="note">${state('warn', `${count(hidden)} more lines are not drawn`)}: the ${drawn} with the highest last value are. Aggregate, or take topk.</p>` : ''}`,
  )
}

const tableRow = (l: AnswerLine, w: Writer): Html => {
  const known = l.values.filter((v): v is number => v !== null && !Number.isNaN(v))
  const { last } = edges(l)
  const min = known.reduce((m, v) => Math.min(m, v), Number.POSITIVE_INFINITY)
  const max = known.reduce((m, v) => Math.max(m, v), Number.NEGATIVE_INFINITY)
  const mean = known.reduce((s, v) => s + v, 0) / known.length
  const say = (n: number): string => (known.length > 0 ? w.write(n) : unknown)
  const labels = Object.entries(recordOf(l.labels)).map(([k, v]) => `${k}=${JSON.stringify(v)}`)
  return html`<tr><th scope="row" title="${labels.join(', ')}"><span class="swatch" data-key="${l.key}"></span><span class="clip">${l.label}</span></th><td class="sp">${spark(l.values, { label: `${l.label} over the range` })}</td><td class="r num"><b>${last === null ? unknown : w.write(last)}</b></td><td class="r num wide-only">${say(min)}</td><td class="r num wide-only">${say(mean)}</td><td class="r num">${say(max)}</td></tr>`
}

export const tablePanel = (context: PageContext, _q: Question, a: Answered): Html => {
  const w = writerOf(context, a)
  const hidden = a.lines.length - listed
  return panel(
    'table',
    'Table',
    html`<div class="scroll" tabindex="0"><table class="plain series"><thead><tr><th scope="col">Series</th><th scope="col">Shape</th><th scope="col" class="r" aria-sort="descending">Last ↓</th><th scope="col" class="r wide-only">Min</th><th scope="col" class="r wide-only">Mean</th><th scope="col" class="r">Max</th></tr></thead><tbody>${a.lines.slice(0, listed).map((l) => tableRow(l, w))}</tbody></table></div>${hidden > 0 ? html`<p class="note">${count(hidden)} more series are not listed; the API has them all: <code>/api/v1/query_range</code>.</p>` : ''}`,
    { aside: 'the last value in view' },
  )
}

export const notesPanel = (context: PageContext, a: Answered): Html | string => {
  const rule = ruleOf(context, a)
  const ended = a.lines
    .slice(0, drawn)
    .map((l) => ({ l, at: edges(l).lastIndex }))
    .filter(({ at }) => at >= 0 && at < a.times.length - 2)
  const items = [
    ...a.warnings.map((text) => html`<li>${state('warn', 'Warning')} ${text}</li>`),
    ...a.infos.map((text) => html`<li>${text}</li>`),
    ...ended.map(
      ({ l, at }) =>
        html`<li>${state('stale', l.label)} sent nothing after ${time((a.times[at]! * 1000) as typeof a.fromAt, a.toAt, 'seconds')}<span class="note">its line ends there; it is not drawn as zero</span></li>`,
    ),
    ...(rule
      ? [
          html`<li>Rule <a href="/rules">${rule.name}</a> uses this expression<span class="note">its limit is drawn</span></li>`,
        ]
      : []),
  ]
  return items.length > 0 ? panel('notes', 'Notes', html`<ul class="links">${items}</ul>`) : ''
}

export const explainPanel = ({ doors }: PageContext, q: Question, a: Answered): Html => {
  const metrics = metricsOf(a)
  return panel(
    'explain',
    'Explain',
    html`<dl class="facts"><div><dt>Took</dt><dd class="num">${a.tookMs < 10 ? a.tookMs.toFixed(1) : Math.round(a.tookMs)}\u202fms</dd></div>
<div><dt>Series in the answer</dt><dd class="num">${count(a.lines.length)}</dd></div>
<div><dt>Points in the answer</dt><dd class="num">${count(a.points)}</dd></div>
<div><dt>Range</dt><dd class="num">${length(q.range)}, ${count(a.times.length)} steps</dd></div></dl>
${metrics.map((name) => {
  // What is said of a histogram or counter is said of its series too.
  const about = doors.metadata(name) ?? doors.metadata(name.replace(/_(bucket|count|sum|total)$/, ''))
  return html`<div class="about"><code>${name}</code><span class="note">${about ? html`${about.type}${about.unit ? `, ${about.unit}` : ''}${about.help ? html`. ${about.help}` : ''}` : 'nothing is known of it but its samples'}</span></div>`
})}
<h3 class="selects">Reads</h3><ul class="links">${a.checked.selectors.map((s) => html`<li><code>{${s.map(printMatcher).join(', ')}}</code></li>`)}</ul>`,
  )
}
