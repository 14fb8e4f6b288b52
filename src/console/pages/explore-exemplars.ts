// Exemplars of what Explore shows: dots on the plot, and a list, each leading to its trace.
import { html } from 'hono/html'
import { type Duration, duration } from '../../lib/time.ts'
import type { Exemplar } from '../../model/exemplar.ts'
import { traceLabel } from '../../model/exemplar.ts'
import { labelOf } from '../../model/labels.ts'
import { count } from '../format.ts'
import type { PageContext } from '../pages.ts'
import { type Html, type PlotDot, panel, time } from '../parts.ts'
import type { Answered } from '../question.ts'

/** Most dots on a plot, and most rows in the list. */
const drawn = 200
const listed = 20
/** Beside the answer they are an extra: one that is not there soon is done without. */
const patience: Duration = duration(3000)

/** Names under which a trace's id goes. */
const traceNames = [traceLabel, 'traceID', 'traceId', 'TraceID'] as const

const traceOf = ({ labels }: Exemplar): string => {
  for (const name of traceNames) {
    const id = labelOf(labels, name)
    if (/^[0-9a-f]{32}$/.test(id)) return id
  }
  return ''
}

/** The newest exemplars of the series an answer was made of, with traces to go to; none where they cannot be had in time. */
export const exemplarsOf = async ({ doors }: PageContext, a: Answered): Promise<readonly Exemplar[]> => {
  const span = { fromAt: a.fromAt, toAt: a.toAt }
  try {
    const { series } = await doors.exemplars.read(a.checked.selectors, span, doors.clock.timeout(patience))
    return series
      .flatMap((s) => s.exemplars)
      .filter((e) => traceOf(e) !== '')
      .sort((x, y) => y.at - x.at)
      .slice(0, drawn)
  } catch (error) {
    doors.log.debug({ err: error, expr: a.checked.text }, 'exemplars not shown')
    return []
  }
}

export const dotsOf = (exemplars: readonly Exemplar[]): PlotDot[] =>
  exemplars.map((e) => ({ t: e.at / 1000, value: e.value, href: `/traces?id=${traceOf(e)}` }))

const row = (e: Exemplar, a: Answered, write: (n: number) => string): Html => {
  const trace = traceOf(e)
  return html`<tr><th scope="row"><a href="/traces?id=${trace}"><code>${trace.slice(0, 12)}…</code></a></th><td class="r num">${write(e.value)}</td><td class="r num">${time(e.at as typeof a.toAt, a.toAt, 'seconds')}</td></tr>`
}

/** '' where there are none. */
export const exemplarsPanel = (
  exemplars: readonly Exemplar[],
  a: Answered,
  write: (n: number) => string,
): Html | string =>
  exemplars.length === 0
    ? ''
    : panel(
        'exemplars',
        'Exemplars',
        html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Trace</th><th scope="col" class="r">Value</th><th scope="col" class="r">When</th></tr></thead><tbody>${exemplars.slice(0, listed).map((e) => row(e, a, write))}</tbody></table></div>`,
        { aside: `${count(exemplars.length)} on the plot` },
      )
