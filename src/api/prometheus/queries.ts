// Queries, label names and values, series, metadata: what Grafana's Prometheus data source and promtool ask.
import type { Hono } from 'hono'
import { AppError } from '../../lib/errors.ts'
import type { SeriesExemplars } from '../../model/exemplar.ts'
import { recordOf } from '../../model/labels.ts'
import type { Matcher } from '../../model/matcher.ts'
import type { Env } from '../mount.ts'
import type { PrometheusDoors } from './doors.ts'
import { answerResponse, dataResponse, errorResponse, floatText } from './encode.ts'
import { labelSpanOf, limitOf, readParams, spanOf, timeOf, timeoutOf } from './params.ts'

type Ask = (params: URLSearchParams, signal: AbortSignal, name: string) => Promise<Response> | Response

const needed = (params: URLSearchParams, name: string): string => {
  const value = params.get(name)
  if (!value) throw new AppError('bad_data', `parameter "${name}" is missing`)
  return value
}

const mostMatched = 100_000

type Route = (path: string, ask: Ask) => void

const routeOn =
  (app: Hono<Env>, { clock, timeout }: PrometheusDoors): Route =>
  (path, ask) => {
    app.on(['GET', 'POST'], path, async (c) => {
      try {
        const params = await readParams(c)
        const signal = clock.timeout(timeoutOf(params, timeout), c.req.raw.signal)
        return await ask(params, signal, c.req.param('name') ?? '')
      } catch (error) {
        return errorResponse(error)
      }
    })
  }

const truncated = (data: readonly unknown[]): Response =>
  Response.json({ status: 'success', data, warnings: ['results truncated due to limit'] })

const exemplarsJson = ({ series, exemplars }: SeriesExemplars): object => ({
  seriesLabels: recordOf(series),
  exemplars: exemplars.map(({ labels, value, at }) => ({
    labels: recordOf(labels),
    value: floatText(value),
    timestamp: at / 1000,
  })),
})

const labelRoutes = (route: Route, { querier, index, labelsOf }: PrometheusDoors): void => {
  /** The matchers of every `match[]`, each one selector. */
  const matchersOf = (params: URLSearchParams): (readonly Matcher[])[] =>
    params.getAll('match[]').map((text) => {
      const { type, selectors } = querier.check(text)
      if (type !== 'vector' || selectors.length !== 1) {
        throw new AppError('bad_data', `invalid parameter "match[]": ${text} is not one series selector`)
      }
      return selectors[0]!
    })

  /** The union over all selectors, sorted and cut. */
  const union = (params: URLSearchParams, one: (matchers: readonly Matcher[]) => string[]): Response => {
    const selectors = matchersOf(params)
    const sets = selectors.length === 0 ? [one([])] : selectors.map(one)
    const all = sets.length === 1 ? sets[0]! : [...new Set(sets.flat())].sort()
    const limit = limitOf(params)
    return all.length > limit ? truncated(all.slice(0, limit)) : dataResponse(all)
  }

  route('/api/v1/labels', (params) => union(params, (m) => index.names(m, labelSpanOf(params))))
  route('/api/v1/label/:name/values', (params, _signal, name) =>
    union(params, (m) => index.values(name, m, labelSpanOf(params))),
  )
  route('/api/v1/series', (params) => {
    const selectors = matchersOf(params)
    if (selectors.length === 0) throw new AppError('bad_data', 'no match[] parameter provided')
    const refs = new Set(selectors.flatMap((m) => index.select(m, labelSpanOf(params))))
    const limit = Math.min(limitOf(params), mostMatched)
    const data = [...refs].slice(0, limit).map((ref) => recordOf(labelsOf(ref)))
    return refs.size > limit ? truncated(data) : dataResponse(data)
  })
}

export const queryRoutes = (app: Hono<Env>, doors: PrometheusDoors): void => {
  const { clock, querier } = doors
  const route = routeOn(app, doors)
  route('/api/v1/query', async (params, signal) =>
    answerResponse(
      await querier.instant(needed(params, 'query'), timeOf(params, 'time', clock.now()), signal),
    ),
  )
  route('/api/v1/query_range', async (params, signal) =>
    answerResponse(await querier.range(needed(params, 'query'), spanOf(params), signal)),
  )
  route('/api/v1/query_exemplars', async (params, signal) => {
    const { selectors } = querier.check(needed(params, 'query'))
    const { series, truncated: cut } = await doors.exemplars.read(selectors, labelSpanOf(params), signal)
    return cut ? truncated(series.map(exemplarsJson)) : dataResponse(series.map(exemplarsJson))
  })
  route('/api/v1/format_query', (params) => dataResponse(querier.check(needed(params, 'query')).text))
  labelRoutes(route, doors)
  route('/api/v1/metadata', (params) => {
    const metric = params.get('metric')
    const limit = limitOf(params)
    const data: Record<string, { type: string; help: string; unit: string }[]> = {}
    let n = 0
    for (const m of doors.metadata()) {
      if (metric && m.metric !== metric) continue
      if (n++ >= limit) break
      data[m.metric] = [{ type: m.type, help: m.help, unit: m.unit }]
    }
    return dataResponse(data)
  })
}
