// The `query:` section of the configuration.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { minute } from '../lib/time.ts'

const count = (most: number) => z.int().min(1).max(most)
const span = (ms: number) =>
  durationSchema.refine((v) => v > 0, 'must be above 0').default(() => (minute * ms) as typeof minute)

/** Limits of every query, whoever asks. The names and defaults are Prometheus's where it has them. */
export const queryConfig = z.strictObject({
  /** How far back an instant selector looks for a series' last sample. */
  lookback_delta: span(5),
  /** A query that takes longer is stopped; waiting for its turn counts. */
  timeout: span(2),
  /** Samples one query may read and hold. */
  max_samples: count(2_000_000_000).default(50_000_000),
  /** Series one query may read. */
  max_series: count(50_000_000).default(500_000),
  /** Queries evaluated at a time; more wait their turn. */
  max_concurrency: count(10_000).default(20),
})
