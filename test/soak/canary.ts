// Simulated canaries: how often a version that is no worse is rolled back, and how soon a bad one is.
import { pathToFileURL } from 'node:url'
import { normalQuantile } from '../../src/lib/stats/distributions.ts'
import { duration, instant } from '../../src/lib/time.ts'
import { canarySchema, windowOf } from '../../src/model/canary.ts'
import { judge, judgeSides } from '../../src/rollout/judge.ts'
import { begin, step } from '../../src/rollout/strategy.ts'

/** How a version behaves from a moment on. */
interface Behaviour {
  readonly errors: number
  readonly latency: number
  readonly score: number
}
const good: Behaviour = { errors: 0.02, latency: 1, score: 0.8 }

export interface Scenario {
  readonly name: string
  readonly canary: Behaviour
  /** Seconds after the start at which it turns bad. */
  readonly breaksAfter: number
  readonly requestsPerSecond: number
  /** Seconds that each point of a rate looks back. */
  readonly rateWindow: number
}

const base = { breaksAfter: 0, requestsPerSecond: 20, rateWindow: 15, canary: good }
export const scenarios: readonly Scenario[] = [
  { ...base, name: 'A/A' },
  { ...base, name: 'A/A, little traffic', requestsPerSecond: 2 },
  { ...base, name: 'A/A, points of a minute every 5 s', rateWindow: 60 },
  { ...base, name: 'errors 2 % → 20 %', canary: { ...good, errors: 0.2 } },
  { ...base, name: 'latency × 1.5', canary: { ...good, latency: 1.5 } },
  { ...base, name: 'errors 2 % → 20 % after 5 min', canary: { ...good, errors: 0.2 }, breaksAfter: 300 },
  {
    ...base,
    name: 'errors 2 % → 20 %, points of a minute',
    canary: { ...good, errors: 0.2 },
    rateWindow: 60,
  },
]

export const generator = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }
  // Box and Muller: far quicker than inverting the distribution.
  const normal = (): number => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next())
  return { next, normal }
}

const step5 = 5

/** Points every 5 s: errors by binomial counts over a sliding window, latency and score with slow wobbles and shared load. */
const simulate = (
  s: Scenario,
  load: Float64Array,
  random: ReturnType<typeof generator>,
  changes: boolean,
) => {
  const n = load.length
  const slots = Math.round(s.rateWindow / step5)
  const requests = new Float64Array(n)
  const failed = new Float64Array(n)
  const errors = new Float64Array(n)
  const latency = new Float64Array(n)
  const score = new Float64Array(n)
  let wobble = 0
  let burst = 0
  for (let i = 0; i < n; i++) {
    const now: Behaviour = changes && i * step5 >= s.breaksAfter ? s.canary : good
    const expected = s.requestsPerSecond * step5 * load[i]!
    requests[i] = Math.max(0, Math.round(expected + Math.sqrt(expected) * random.normal()))
    // A neighbour's outage now and then makes errors come in bursts.
    burst = random.next() < 0.01 ? 3 : burst * 0.7
    let count = 0
    for (let r = 0; r < requests[i]!; r++) if (random.next() < now.errors * (1 + burst)) count++
    failed[i] = count
    let all = 0
    let bad = 0
    for (let j = Math.max(0, i - slots + 1); j <= i; j++) {
      all += requests[j]!
      bad += failed[j]!
    }
    errors[i] = all > 0 ? bad / all : Number.NaN
    wobble = 0.7 * wobble + 0.04 * random.normal()
    latency[i] =
      2 * now.latency * load[i]! * Math.exp(wobble + (0.3 * random.normal()) / Math.sqrt(Math.max(all, 1)))
    score[i] = now.score + 0.03 * wobble + (0.15 * random.normal()) / Math.sqrt(Math.max(all, 1))
  }
  return [errors, latency, score]
}

const canary = canarySchema.parse({
  baseline: '1',
  analysis: {
    metrics: [
      { name: 'errors', query: '$version', direction: 'increase', critical: true },
      { name: 'latency', query: '$version', direction: 'increase', critical: true },
      { name: 'score', query: '$version', direction: 'decrease' },
    ],
  },
})

/** One canary from its start to its end: what was decided and after how many seconds. */
const play = (s: Scenario, seed: number): { verdict: string; after: number } => {
  const { analysis } = canary
  const random = generator(seed)
  const points = Math.round((3 * analysis.duration) / 1000 / step5)
  const phase = random.next() * 2 * Math.PI
  const load = Float64Array.from({ length: points }, (_, i) => 1 + 0.2 * Math.sin(phase + i / 40))
  const before = simulate(s, load, random, false)
  const after = simulate(s, load, random, true)
  const rules = {
    duration: analysis.duration,
    deadline: duration(3 * analysis.duration),
    failures: analysis.failures,
    onPass: canary.on_pass,
    onFail: canary.on_fail,
  }
  const terms = { ...analysis, versions: { baseline: '1', canary: '2' } }
  const width = windowOf(analysis) / 1000 / step5
  let state = begin(instant(0))
  for (let now = analysis.interval; now <= 3 * analysis.duration; now = duration(now + analysis.interval)) {
    const end = Math.floor(now / 1000 / step5)
    const judged = analysis.metrics.map((metric, m) =>
      judgeSides(metric, before[m]!.slice(0, end), after[m]!.slice(0, end), terms, width),
    )
    const stepped = step(state, judge(judged, analysis), rules, instant(now))
    state = stepped.state
    if (state.phase === 'rolled_back' || state.phase === 'promoted')
      return { verdict: state.phase, after: now / 1000 }
  }
  return { verdict: state.phase, after: points * step5 }
}

export interface Outcome {
  readonly rolledBack: number
  readonly promoted: number
  /** Median seconds to the rollback; NaN when there was none. */
  readonly median: number
}

export const run = (s: Scenario, times: number, seed: number): Outcome => {
  const ends = Array.from({ length: times }, (_, i) => play(s, seed + i * 7919))
  const back = ends.filter((e) => e.verdict === 'rolled_back').map((e) => e.after)
  back.sort((a, b) => a - b)
  return {
    rolledBack: back.length / times,
    promoted: ends.filter((e) => e.verdict === 'promoted').length / times,
    median: back[Math.floor(back.length / 2)] ?? Number.NaN,
  }
}

/** The upper end of the one-sided 95 % interval of a share (Wilson). */
const upperShare = (share: number, n: number): number => {
  const z = normalQuantile(0.95)
  const middle = share + (z * z) / (2 * n)
  return (middle + z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n)
}

/** Prints the table; `times` canaries a scenario. */
export const printCanaries = (times: number, seed: number): void => {
  console.log(`canaries: ${times} a scenario, seed ${seed}`)
  for (const s of scenarios) {
    const { rolledBack, promoted, median } = run(s, times, seed)
    const bound =
      s.canary === good
        ? `, below ${(upperShare(rolledBack, times) * 100).toFixed(1)} % with 95 % confidence`
        : ''
    const time = Number.isNaN(median) ? '' : `, median ${median} s`
    console.log(
      `${s.name}: rolled back ${(rolledBack * 100).toFixed(1)} %${bound}${time}, promoted ${(promoted * 100).toFixed(1)} %`,
    )
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  printCanaries(Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 1))
