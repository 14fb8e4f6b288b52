// The pieces every page is made of: states, times, sparklines, plots, panels. Each is a function from data to HTML.
import { html, raw } from 'hono/html'
import { type Instant, iso } from '../lib/time.ts'
import { ago, clockSeconds, clockText, dayText, length, type Unit, unknown, write } from './format.ts'

export { raw }
export type Html = ReturnType<typeof html>

/** Shape, word, colour, in that order of trust; `pending` waits for time, `held` for a person. */
export type State = 'crit' | 'warn' | 'ok' | 'pending' | 'held' | 'stale' | 'idle'
const words: Readonly<Record<State, string>> = {
  crit: 'Critical',
  warn: 'Warning',
  ok: 'Healthy',
  pending: 'Pending',
  held: 'Held',
  stale: 'No data',
  idle: 'Off',
}

export const icon = (id: string, cls = 'icon'): Html =>
  html`<svg class="${cls}" viewBox="0 0 16 16" aria-hidden="true"><use href="#${id}"/></svg>`

/** Shape and word. `''` as word only where the word stands beside it already: then screen readers hear the state's own. */
export const state = (s: State, word: string = words[s]): Html =>
  html`<span class="state ${s}">${icon(`s-${s}`)}${word ? html`<span>${word}</span>` : html`<span class="sr">${words[s]}</span>`}</span>`

/** Relative first, absolute on hover; the machine-readable form always in UTC. The page's script keeps it running, in the viewer's zone. */
export const time = (
  at: Instant,
  now: Instant,
  form: 'ago' | 'age' | 'until' | 'clock' | 'seconds' = 'ago',
): Html => {
  const text =
    form === 'ago'
      ? ago(at, now)
      : form === 'age'
        ? length(Math.max(0, now - at))
        : form === 'until'
          ? length(Math.max(0, at - now))
          : form === 'clock'
            ? clockText(at)
            : clockSeconds(at)
  return html`<time datetime="${iso(at)}" data-form="${form}" title="${dayText(at)} ${clockSeconds(at)}">${text}</time>`
}

export const face = (name: string): Html => {
  const initials = name
    .split(/[\s._-]+/)
    .map((w) => w[0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase()
  return html`<span class="face" aria-hidden="true">${initials}</span>`
}

/** A line of 96 × 24 without axes; gaps stay gaps. `label` says in words what it shows. */
export const spark = (
  values: readonly (number | null)[],
  options: { label: string; lo?: number; hi?: number; goal?: number; tone?: State },
): Html => {
  const w = 96
  const h = 24
  const known = values.filter((v): v is number => v !== null && Number.isFinite(v))
  if (known.length < 2) return html`<span class="note">${unknown}</span>`
  const lo = options.lo ?? Math.min(...known, options.goal ?? Number.POSITIVE_INFINITY)
  const hi = options.hi ?? Math.max(...known, options.goal ?? Number.NEGATIVE_INFINITY)
  const y = (v: number): string =>
    (h - 2 - ((Math.min(Math.max(lo, v), hi) - lo) / (hi - lo || 1)) * (h - 4)).toFixed(1)
  let path = ''
  let pen = false
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = false
      return
    }
    path += `${pen ? 'L' : 'M'}${((i / (values.length - 1)) * w).toFixed(1)} ${y(v)}`
    pen = true
  })
  const goal = options.goal === undefined ? '' : raw(`<path class="goal" d="M0 ${y(options.goal)}H${w}"/>`)
  return html`<svg class="spark ${options.tone ?? ''}" viewBox="0 0 ${w} ${h}" preserveAspectRatio="none" role="img" aria-label="${options.label}">${goal}${raw(`<path class="line" d="${path}"/>`)}</svg>`
}

export interface PlotSeries {
  /** What its colour is hashed from: the sorted label set. */
  readonly key: string
  readonly label: string
  readonly values: readonly (number | null)[]
}
export interface PlotMark {
  /** Milliseconds. */
  readonly t: number
  readonly kind: 'deploy' | 'flag' | 'scale' | 'alert' | 'rollback' | 'budget' | 'hold' | 'page'
  readonly n: number
  readonly label: string
}
/** A single measurement on a plot, which leads somewhere; `t` in seconds. */
export interface PlotDot {
  readonly t: number
  readonly value: number
  readonly href: string
}

export interface PlotSpec {
  /** Seconds, ascending. */
  readonly t: readonly number[]
  readonly series: readonly PlotSeries[]
  readonly unit: Unit
  /** Behind every number: a unit that is not ours, or `/s`. */
  readonly suffix?: string
  readonly height: number
  readonly from?: number
  readonly to?: number
  readonly threshold?: { readonly value: number; readonly label: string; readonly below?: boolean }
  readonly marks?: readonly PlotMark[]
  readonly dots?: readonly PlotDot[]
  readonly sync?: string
}

/** JSON that is safe inside a script element. */
export const json = (value: unknown): Html => raw(JSON.stringify(value).replace(/</g, '\\u003c'))

const numbers = (spec: PlotSpec): Html => {
  const step = Math.max(1, Math.floor(spec.t.length / 12))
  const rows = spec.t
    .map((t, i) => ({ t, i }))
    .filter(({ i }) => i % step === 0)
    .reverse()
  return html`<details class="numbers"><summary>Numbers</summary><div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Time</th>${spec.series.map((s) => html`<th scope="col" class="r">${s.label}</th>`)}</tr></thead><tbody>${rows.map(
    ({ t, i }) =>
      html`<tr><th scope="row" class="num">${clockText((t * 1000) as Instant)}</th>${spec.series.map((s) => html`<td class="r num">${s.values[i] === null || s.values[i] === undefined ? unknown : `${write[spec.unit](s.values[i])}${spec.suffix ?? ''}`}</td>`)}</tr>`,
  )}</tbody></table></div></details>`
}

const mark = (m: PlotMark): Html =>
  html`<span class="mark m-${m.kind}" aria-hidden="true"><svg viewBox="0 0 20 20"><use href="#m-${m.kind}"/></svg><b>${m.n}</b></span>`

/** A figure: title with the unit, one sentence of what it shows, legend that is the read-out, canvas, marks, its numbers as a table. */
export const plot = (
  id: string,
  spec: PlotSpec,
  words: { title: string; says: string; aside?: string },
): Html => html`
<figure class="plot" id="${id}" aria-labelledby="${id}-t">
  <figcaption><span id="${id}-t" class="plot-title">${words.title}</span>${words.aside ? html`<span class="aside">${words.aside}</span>` : ''}<span class="plot-says">${words.says}</span></figcaption>
  <div class="legend" aria-hidden="true"></div>
  <div class="canvas" aria-hidden="true" style="height:${spec.height}px"><p class="waiting">Drawing…</p></div>
  ${spec.marks?.length ? html`<ol class="marks">${spec.marks.map((m) => html`<li>${mark(m)}<span class="num">${clockText(m.t as Instant)}</span> ${m.label}</li>`)}</ol>` : ''}
  ${numbers(spec)}
  <script type="application/json">${json(spec)}</script>
</figure>`

export const head = (title: string, sub: Html | string = '', right: Html | string = ''): Html =>
  html`<div class="page-head"><div><h1>${title}</h1>${sub ? html`<p class="sub">${sub}</p>` : ''}</div>${right ? html`<div class="right">${right}</div>` : ''}</div>`

/** A panel; its id is the fragment's name in the stream: a fresh one replaces it whole. */
export const panel = (
  id: string,
  title: string,
  body: Html | string,
  options: { aside?: Html | string; cls?: string; more?: Html | string } = {},
): Html =>
  html`<section class="panel ${options.cls ?? ''}" id="${id}" data-fragment aria-labelledby="${id}-h"><div class="panel-head"><h2 id="${id}-h">${title}</h2>${options.aside ? html`<span class="aside">${options.aside}</span>` : ''}${options.more ?? ''}</div>${body}</section>`

/** The good news, how it is known, and one next step. */
export const empty = (news: string, how: Html | string, next: Html | string = ''): Html =>
  html`<div class="empty"><b>${news}</b>${how}${next ? html`<div class="acts">${next}</div>` : ''}</div>`

/** What failed, what still holds, what to do. */
export const broken = (failed: string, holds: string, next: Html | string = ''): Html =>
  html`<div class="broken" role="alert">${state('crit', failed)}<p>${holds}</p>${next ? html`<div class="acts">${next}</div>` : ''}</div>`

export const link = (href: string, text: string): Html => html`<a class="more" href="${href}">${text}</a>`
