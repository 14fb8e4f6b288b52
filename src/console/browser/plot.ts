// Draws every figure.plot with uPlot: themed axes with units, the rule's limit, legend as read-out, tooltip, hashed colours.
import './locale.ts'
import uPlot from 'uplot'
import { all, make, one, svg } from './dom.ts'
import { type Dot, dotAt, drawDots } from './plot-dots.ts'
import { dress, type Writer, writerOf } from './plot-look.ts'
import { dayMonth, hourMinute, withSeconds } from './time.ts'

interface Series {
  readonly key: string
  readonly label: string
  readonly values: readonly (number | null)[]
}
interface Spec {
  readonly t: readonly number[]
  readonly series: readonly Series[]
  readonly unit: string
  readonly suffix?: string
  readonly height: number
  readonly from: number
  readonly to: number
  readonly threshold?: { readonly value: number; readonly label: string; readonly below?: boolean }
  readonly dots?: readonly Dot[]
}
interface Ink {
  readonly ink: string
  readonly ink3: string
  readonly line: string
  readonly surface: string
  readonly crit: string
  readonly font: string
}

const probe = make('i', { hidden: '' })
document.body.append(probe)
const token = (name: string): string => {
  probe.style.color = `var(--${name})`
  return getComputedStyle(probe).color
}
const alpha = (rgb: string, a: number): string =>
  `rgba(${(rgb.match(/[\d.]+/g) ?? []).slice(0, 3).join(', ')}, ${a})`
const inkNow = (): Ink => ({
  ink: token('ink'),
  ink3: token('ink-3'),
  line: token('line'),
  surface: token('surface'),
  crit: token('crit'),
  font: getComputedStyle(document.body).fontFamily,
})

const drawLimit =
  ({ threshold }: Spec, ink: Ink) =>
  (u: uPlot): void => {
    if (!threshold) return
    const c = u.ctx
    const px = devicePixelRatio
    const { left, top, width, height } = u.bbox
    const y = Math.round(u.valToPos(threshold.value, 'y', true)) + 0.5
    if (y < top || y > top + height) return
    c.save()
    c.fillStyle = alpha(ink.crit, 0.055)
    if (threshold.below) c.fillRect(left, y, width, top + height - y)
    else c.fillRect(left, top, width, y - top)
    c.strokeStyle = ink.crit
    c.lineWidth = 1.2 * px
    c.setLineDash([6 * px, 4 * px])
    c.beginPath()
    c.moveTo(left, y)
    c.lineTo(left + width, y)
    c.stroke()
    c.setLineDash([])
    c.font = `600 ${11 * px}px ${ink.font}`
    const textY = threshold.below ? y + 14 * px : y - 8 * px
    c.fillStyle = alpha(ink.surface, 0.82)
    c.fillRect(left + 3 * px, textY - 10 * px, c.measureText(threshold.label).width + 6 * px, 13 * px)
    c.fillStyle = ink.crit
    c.textAlign = 'left'
    c.fillText(threshold.label, left + 6 * px, textY)
    c.restore()
  }

const stroke = (color: string, dash: readonly number[]): SVGElement =>
  svg(
    'svg',
    { viewBox: '0 0 18 8' },
    svg('path', { d: 'M0 4h18', stroke: color, 'stroke-width': '2.4', 'stroke-dasharray': dash.join(' ') }),
  )

interface Drawn {
  readonly figure: HTMLElement
  readonly spec: Spec
  readonly u: uPlot
}
const live = new Map<HTMLElement, Drawn>()

const valueAt = (s: Series, i: number): number | null => s.values[i] ?? null

const showTip = (
  u: uPlot,
  tip: HTMLElement,
  spec: Spec,
  i: number,
  say: Writer,
  colors: readonly string[],
  long: boolean,
): void => {
  const rows = spec.series
    .map((s, k) => ({ s, k, v: valueAt(s, i) }))
    .filter((r): r is typeof r & { v: number } => r.v !== null && (u.series[r.k + 1]?.show ?? false))
    .sort((a, b) => b.v - a.v)
  const at = spec.t[i]! * 1000
  const swatch = (color: string): HTMLElement => {
    const k = make('span', { class: 'k' })
    k.style.background = color
    return k
  }
  tip.replaceChildren(
    make('p', {}, long ? `${dayMonth.format(at)} ${hourMinute.format(at)}` : withSeconds.format(at)),
    make(
      'table',
      {},
      ...rows.map(({ s, k, v }) =>
        make(
          'tr',
          {},
          make('td', {}, swatch(colors[k]!), s.label),
          make('td', { class: 'r' }, make('b', {}, say(v, true))),
        ),
      ),
    ),
  )
  tip.hidden = false
  const x = (u.cursor.left ?? 0) + u.over.offsetLeft
  const room = u.root.parentElement!.clientWidth
  const width = tip.offsetWidth
  tip.style.left = `${Math.max(0, x + 14 + width > room ? x - width - 14 : x + 14)}px`
  tip.style.top = `${u.over.offsetTop + 6}px`
}

const zoomed = (u: uPlot): void => {
  const { left, width } = u.select
  if (width < 8) return
  const from = u.posToVal(left, 'x')
  const to = u.posToVal(left + width, 'x')
  const address = new URL(location.href)
  if (!address.searchParams.has('expr')) return
  address.searchParams.set('range', `${Math.max(30, Math.round(to - from))}s`)
  address.searchParams.set('end', String(Math.round(to)))
  address.searchParams.delete('step')
  location.href = address.href
}

/** Even distances in bytes are powers of two. */
const byteSteps = Array.from({ length: 60 }, (_, i) => 2 ** i)

const axes = (ink: Ink, say: Writer, long: boolean, unit: string): uPlot.Axis[] => {
  const font = `11px ${ink.font}`
  return [
    {
      stroke: ink.ink3,
      font,
      grid: { show: false },
      ticks: { stroke: ink.line, size: 4 },
      size: 26,
      gap: 4,
      space: 64,
      values: (_, ts) => ts.map((t) => (long ? dayMonth : hourMinute).format(t * 1000)),
    },
    {
      stroke: ink.ink3,
      font,
      grid: { stroke: ink.line, width: 1 },
      ticks: { show: false },
      size: 66,
      gap: 6,
      space: 38,
      ...(unit === 'bytes' ? { incrs: byteSteps } : {}),
      values: (_, vs, __, ___, step) => vs.map((v) => say(v, false, step)),
    },
  ]
}

const legendOf = (
  legend: HTMLElement,
  spec: Spec,
  u: uPlot,
  colors: readonly string[],
  dashOf: (s: Series) => readonly number[],
): void => {
  const buttons = spec.series.map((s, i) => {
    const button = make(
      'button',
      { type: 'button', 'aria-pressed': 'true', tabindex: '-1' },
      stroke(colors[i]!, dashOf(s)),
      make('span', { class: 'clip' }, s.label),
      ' ',
      make('b', {}),
    )
    button.onclick = () => {
      const on = button.getAttribute('aria-pressed') !== 'true'
      button.setAttribute('aria-pressed', String(on))
      u.setSeries(i + 1, { show: on })
    }
    return button
  })
  legend.replaceChildren(...buttons, make('span', { class: 'at' }))
}

const readOut = (legend: HTMLElement, spec: Spec, i: number | null, say: Writer): void => {
  all('button', legend).forEach((button, k) => {
    const s = spec.series[k]!
    const last = s.values.findLastIndex((v) => v !== null)
    const at = i ?? last
    const v = valueAt(s, at)
    const ended = i === null && last >= 0 && last < s.values.length - 2
    const text = v === null ? '-' : say(v, true)
    one('b', button)!.textContent = ended ? `${text}, ended ${hourMinute.format(spec.t[last]! * 1000)}` : text
  })
  one('.at', legend)!.textContent = i === null ? '' : withSeconds.format(spec.t[i]! * 1000)
}

const draw = (figure: HTMLElement): void => {
  const spec = JSON.parse(one('script', figure)!.textContent) as Spec
  const host = one('.canvas', figure)!
  const legend = one('.legend', figure)!
  const ink = inkNow()
  const say = writerOf(spec.unit, spec.suffix)
  const look = dress(spec.series.map((s) => s.key))
  const colors = spec.series.map((s) => token(`plot-${look.get(s.key)!.hue + 1}`))
  const dashOf = (s: Series): readonly number[] => look.get(s.key)!.dash
  const long = spec.t.at(-1)! - spec.t[0]! > 3 * 86_400
  live.get(figure)?.u.destroy()
  one('.tip', host)?.remove()
  const tip = make('div', { class: 'tip', hidden: '' })
  const cursorMoved = (u: uPlot): void => {
    const i = u.cursor.idx ?? null
    u.over.style.cursor = dotAt(u, spec.dots ?? []) ? 'pointer' : ''
    readOut(legend, spec, i, say)
    if (i === null || !matchMedia('(hover: hover)').matches) tip.hidden = true
    else showTip(u, tip, spec, i, say, colors, long)
  }
  const yRange = (_: uPlot, lo: number | null, hi: number | null): [number, number] => {
    const limit = spec.threshold?.value
    const top = Math.max(hi ?? 0, limit ?? Number.NEGATIVE_INFINITY, 0)
    const low = Math.min(0, lo ?? 0)
    return top === low ? [low, low + 1] : [low * 1.08, top * 1.08]
  }
  const leadOn = (u: uPlot): void => {
    u.over.addEventListener('click', () => {
      const dot = dotAt(u, spec.dots ?? [])
      if (dot) location.href = dot.href
    })
  }
  const u = new uPlot(
    {
      width: host.clientWidth,
      height: spec.height,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: { points: { size: 6 }, y: false, drag: { x: true, y: false, setScale: false } },
      scales: { x: { range: [spec.from / 1000, spec.to / 1000] }, y: { range: yRange } },
      axes: axes(ink, say, long, spec.unit),
      series: [
        {},
        ...spec.series.map(
          (s, i): uPlot.Series => ({
            label: s.label,
            stroke: colors[i]!,
            width: 1.6,
            dash: [...dashOf(s)],
            points: { show: (_, k) => s.values.filter((v) => v !== null).length < 3 && k > 0 },
            spanGaps: false,
          }),
        ),
      ],
      hooks: {
        draw: [drawLimit(spec, ink), drawDots(spec.dots ?? [], ink)],
        ready: [leadOn],
        setCursor: [cursorMoved],
        setSelect: [zoomed],
      },
    },
    [spec.t as number[], ...spec.series.map((s) => s.values as (number | null)[])],
    host,
  )
  host.append(tip)
  host.classList.add('drawn')
  live.set(figure, { figure, spec, u })
  legendOf(legend, spec, u, colors, dashOf)
  readOut(legend, spec, null, say)
}

const swatches = (): void => {
  const marks = all('.swatch')
  const keys = marks.map((m) => m.dataset['key'] ?? '')
  const look = dress(keys.slice(0, 12))
  marks.forEach((mark, i) => {
    const known = look.get(keys[i]!)
    if (known) mark.replaceChildren(stroke(`var(--plot-${known.hue + 1})`, known.dash))
  })
}

export const drawAll = (): void => {
  for (const figure of all('figure.plot')) draw(figure)
  swatches()
}
drawAll()
addEventListener('themechange', () => drawAll())
const main = one('main')
if (main)
  new ResizeObserver(() => {
    for (const { figure, spec, u } of live.values()) {
      const width = one('.canvas', figure)!.clientWidth
      if (width && u.width !== width) u.setSize({ width, height: spec.height })
    }
  }).observe(main)
