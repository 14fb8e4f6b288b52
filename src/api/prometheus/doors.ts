// What the Prometheus surface asks of the rest: narrow doors.

import type { Clock } from '../../lib/clock.ts'
import type { InFlight } from '../../lib/in-flight.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { Metadata } from '../../model/batch.ts'
import type { Labels } from '../../model/labels.ts'
import type { ExemplarReader } from '../../model/ports/exemplars.ts'
import type { HttpHandler } from '../../model/ports/http-handler.ts'
import type { Querier } from '../../model/ports/querier.ts'
import type { SeriesIndex } from '../../model/ports/series-index.ts'
import type { RuleGroupState } from '../../model/rule-group.ts'
import type { SeriesRef } from '../../model/series.ts'
import type { DroppedTargetsView, TargetView } from '../../model/views.ts'

export interface PrometheusDoors {
  readonly clock: Clock
  readonly querier: Querier
  readonly index: SeriesIndex
  readonly exemplars: ExemplarReader
  readonly labelsOf: (ref: SeriesRef) => Labels
  readonly metadata: () => readonly Metadata[]
  readonly ruleGroups: () => readonly RuleGroupState[]
  readonly targets: () => readonly TargetView[]
  readonly droppedTargets: () => DroppedTargetsView
  readonly remoteWrite: HttpHandler
  readonly otlp: HttpHandler
  /** Room for request bodies, finished or not. */
  readonly bodies: InFlight
  readonly version: string
  readonly startedAt: Instant
  /** The longest a query may take. */
  readonly timeout: Duration
  /** The configuration in force, secrets hidden. */
  readonly configText: () => string
  readonly flags: () => Readonly<Record<string, string>>
  readonly retention: string
}
