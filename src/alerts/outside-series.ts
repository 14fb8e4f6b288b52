// Alerts that come from outside as series, so that queries, and with them decisions, can read them.
import { type Clock, every } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, hour, type Instant, second } from '../lib/time.ts'
import { fingerprint, isResolved } from '../model/alert.ts'
import { type Batch, staleHigh, staleLow } from '../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../model/batch-builder.ts'
import { labelsOf } from '../model/labels.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import type { HeldAlert } from './merge.ts'

export interface OutsideSeriesDeps {
  /** The alerts from outside that are held, firing or not. */
  readonly alerts: () => readonly HeldAlert[]
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly limits: AdmissionLimits
  readonly interval: Duration
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface OutsideSeries extends Service {
  /** Writes them as they are now. Never rejects: alerts go on without their series. */
  write(): Promise<void>
}

interface Shown {
  readonly alerts: SeriesRef
  readonly state: SeriesRef
  overAt: Instant | null
}

const pushTime = duration(5 * second)
/** How long 0 is said of an alert that is over: a decision that reads it can tell an end from missing data. */
const sayOver = hour

/** The two series of an alert; null where a limit of series is reached. */
const seriesOf = (builder: BatchBuilder, { labels }: HeldAlert): Shown | null => {
  const { __name__: _, ...plain } = labels
  const firing = { alertstate: 'firing', alertsource: 'external' }
  const alerts = builder.series(labelsOf({ ...plain, ...firing, __name__: 'ALERTS' }))
  const state = builder.series(labelsOf({ ...plain, __name__: 'airboss_external_alert' }))
  return alerts < 0 || state < 0 ? null : { alerts, state, overAt: null }
}

/**
 * `ALERTS{alertstate="firing", alertsource="external", …}` is 1 while an alert from outside fires and then ends, as Prometheus's own
 * does; `airboss_external_alert{…}` is 1 while it fires and 0 for an hour after.
 */
export const createOutsideSeries = (deps: OutsideSeriesDeps): OutsideSeries => {
  const { table, sink, limits, interval, clock, log, metrics } = deps
  const shown = new Map<string, Shown>()
  const life = new AbortController()
  const dropped = metrics.counter(
    'airboss_external_alert_series_dropped_total',
    'Alerts from outside that no query can see, because a limit of series is reached.',
  )
  let lastAt = 0
  let turn: Promise<void> = Promise.resolve()

  const put = (builder: BatchBuilder, now: Instant, at: number): void => {
    const firing = new Set<string>()
    for (const alert of deps.alerts()) {
      if (isResolved(alert, now)) continue
      const f = fingerprint(alert.labels)
      const series = shown.get(f) ?? seriesOf(builder, alert)
      if (!series) {
        dropped.add()
        continue
      }
      shown.set(f, series)
      firing.add(f)
      series.overAt = null
      builder.add(series.alerts, at, 1)
      builder.add(series.state, at, 1)
    }
    for (const [f, series] of shown) {
      if (firing.has(f)) continue
      if (series.overAt === null) {
        series.overAt = now
        builder.addBits(series.alerts, at, staleLow, staleHigh)
      }
      if (now - series.overAt < sayOver) builder.add(series.state, at, 0)
      else {
        builder.addBits(series.state, at, staleLow, staleHigh)
        shown.delete(f)
      }
    }
  }

  const once = async (): Promise<void> => {
    const now = clock.now()
    // Two reports within a millisecond are two samples.
    const at = now < lastAt - 60_000 ? now : Math.max(now, lastAt + 1)
    lastAt = at
    const builder = new BatchBuilder(table, limits, now, 64)
    put(builder, now, at)
    if (builder.length > 0) await sink.push(builder.build(), clock.timeout(pushTime))
  }
  const write = (): Promise<void> => {
    turn = turn.then(once).catch((error: unknown) => {
      log.warn({ why: messageOf(error) }, 'alerts from outside not written as series')
    })
    return turn
  }
  return {
    write,
    start: () => {
      every(clock, interval, write, { signal: life.signal, failed: () => undefined })
      return Promise.resolve()
    },
    drain: async () => {
      life.abort()
      await turn
    },
  }
}
