import { describe, expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { memoryLedger } from '../../test/kit/memory-ledger.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { type ScriptedSeries, scriptedQuerier } from '../../test/kit/scripted-querier.ts'
import { silentLogger } from '../lib/log.ts'
import { type Duration, type Instant, minute, second } from '../lib/time.ts'
import { system } from '../model/actor.ts'
import type { Decision } from '../model/decision.ts'
import { type Deployment, deploymentSchema } from '../model/deployment.ts'
import type { Querier } from '../model/ports/querier.ts'
import { createRollouts } from './rollout.ts'
import { begin } from './strategy.ts'

const deployment = (canary: object = {}, analysis: object = {}): Deployment =>
  deploymentSchema.parse({
    agent: 'pilot',
    version: '4.3.0',
    canary: {
      baseline: '4.2.7',
      analysis: {
        interval: '5s',
        step: '1s',
        duration: '10m',
        metrics: [{ name: 'errors', query: 'sum(errors{version="$version"})', direction: 'increase' }],
        ...analysis,
      },
      ...canary,
    },
  })
const room = (querier: Querier, first: Deployment, ledger = memoryLedger(), clock = new FakeClock()) => {
  const decided: Decision[] = []
  let fleet = [first]
  const rollouts = createRollouts({
    fleet: { list: () => fleet.map((d) => ({ deployment: d })) },
    querier,
    decisions: { record: async (d) => void decided.push(d) },
    ledger,
    clock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  const live = async (length: number): Promise<void> => {
    for (let t = 0; t < length; t += 1000) {
      await clock.advance(second)
      await settle()
    }
  }
  return {
    ...{ rollouts, ledger, clock, decided, live },
    declare: (...now: Deployment[]) => {
      fleet = now
    },
    state: () => rollouts.list()[0]!,
    points: () => rollouts.list()[0]!.judgement?.metrics[0]?.points,
  }
}
/** The canary ten times worse, whatever is asked. */
const worse = (expr: string): readonly ScriptedSeries[] => [
  { labels: {}, value: (at) => (expr.includes('4.3.0') ? 0.2 : 0.02) * (1 + ((at / 1000) % 7) / 50) },
]
const each =
  (length: Duration) =>
  (_: string, at: Instant): number =>
    Math.floor(at / length) * length

describe('only points with news count', () => {
  test('a sample a minute at a step of a second is a point a minute: it holds, and says how many there are', async () => {
    const heard = (selector: string, at: Instant): number =>
      selector.includes('4.3.0') ? each(minute)(selector, at) : at
    const r = room(scriptedQuerier(worse, heard), deployment())
    await r.rollouts.start()
    await r.live(12.5 * minute)
    expect(r.points()?.canary).toBe(12)
    expect(r.points()?.baseline).toBeGreaterThan(700)
    expect(r.state().judgement?.reason).toMatch(
      /^errors cannot be judged: 12 of 50 points for 4\.3\.0, 7\d\d for 4\.2\.7: hold\.$/,
    )
    expect(r.decided.map((d) => d.verdict)).toEqual(['hold'])
    await r.rollouts.drain()
  })
  test('a sample a second is a point a second, and a version that is worse is rolled back within two minutes', async () => {
    const r = room(scriptedQuerier(worse, each(second)), deployment())
    await r.rollouts.start()
    await r.live(2 * minute)
    expect(r.decided.map((d) => d.verdict)).toEqual(['hold', 'rollback'])
    expect(r.decided[1]!.at - r.state().progress.startedAt).toBeLessThan(100_000)
    await r.rollouts.drain()
  })
  test('what both sides share is no news of either, unless there is nothing else', async () => {
    const query = 'sum(errors{version="$version"}) / sum(runs{})'
    const metrics = [{ name: 'errors', query }]
    const own = (selector: string, at: Instant): number =>
      selector.includes('version') ? each(minute)(selector, at) : at
    const r = room(scriptedQuerier(worse, own), deployment({}, { metrics }))
    await r.rollouts.start()
    await r.live(4.5 * minute)
    expect(r.points()).toEqual({ baseline: 4, canary: 4 })
    await r.rollouts.drain()
    const none = (selector: string, at: Instant): number | null => (selector.includes('version') ? null : at)
    const s = room(scriptedQuerier(worse, none), deployment({}, { metrics }))
    await s.rollouts.start()
    await s.live(minute)
    expect(s.points()?.canary).toBeGreaterThan(50)
    await s.rollouts.drain()
  })
  test('a selector is asked for once a look, however many metrics have it', async () => {
    const metrics = ['a', 'b', 'c'].map((name) => ({
      name,
      query: `${name} + sum(errors{version="$version"})`,
    }))
    const querier = scriptedQuerier(worse)
    const spans: string[] = []
    const counting: Querier = {
      ...querier,
      range: (expr, span, signal) => {
        if (expr.startsWith('max(timestamp(')) spans.push(expr)
        return querier.range(expr, span, signal)
      },
    }
    const r = room(counting, deployment({}, { metrics, interval: '1m' }))
    await r.rollouts.start()
    await r.live(65 * second)
    const looks = spans.length / 2
    expect(new Set(spans).size).toBe(2)
    expect(looks).toBeLessThanOrEqual(2)
    await r.rollouts.drain()
  })
})

describe('progress', () => {
  const worked = async (r: ReturnType<typeof room>): Promise<void> => {
    await r.rollouts.start()
    await r.live(2 * minute)
    expect(r.state().progress.phase).toBe('rolled_back')
  }
  test.each([
    ['another baseline', deployment({ baseline: '4.2.6' }), /with 4\.2\.6 anew, no longer with 4\.2\.7/],
    ['another analysis', deployment({}, { confidence: 0.99 }), /the analysis of pilot 4\.3\.0 changed/],
  ])('begins anew with %s, while it runs and over a restart', async (_, other, why) => {
    const r = room(scriptedQuerier(worse), deployment())
    await worked(r)
    const again = room(scriptedQuerier(worse), other, r.ledger, r.clock)
    r.declare(other)
    await r.live(second)
    expect(r.state()).toMatchObject({
      baseline: other.canary!.baseline,
      progress: { phase: 'watching', startedAt: r.clock.now(), failures: 0 },
    })
    const said = r.ledger.history({ kind: 'rollout', limit: 2 }).map((v) => v.why)
    expect(said).toContainEqual(expect.stringMatching(why))
    await r.live(2 * minute)
    expect(r.state().progress.phase).toBe('rolled_back')
    expect(r.decided.filter((d) => d.verdict === 'rollback')).toHaveLength(2)
    await r.rollouts.drain()
    // And back again, by a configuration that is read at the start.
    await again.rollouts.start()
    expect(again.state().progress.phase).toBe('rolled_back')
    await again.rollouts.drain()
    const back = room(scriptedQuerier(worse), deployment(), r.ledger, r.clock)
    await back.rollouts.start()
    expect(back.state().progress).toEqual(begin(r.clock.now()))
    await back.rollouts.drain()
  })
  test('goes on when something else of it changes', async () => {
    const r = room(scriptedQuerier(worse), deployment())
    await worked(r)
    const { startedAt } = r.state().progress
    r.declare(deployment({ actuator: 'other', on_pass: 'hold' }))
    await r.live(5 * second)
    expect(r.state().progress).toMatchObject({ phase: 'rolled_back', startedAt })
    await r.rollouts.drain()
  })
  test('that was kept without its plan goes on, and has one from then', async () => {
    const ledger = memoryLedger()
    const clock = new FakeClock()
    const old = { ...begin(clock.now()), phase: 'held' as const }
    await ledger.put('rollout', 'pilot@4.3.0', old, { by: system('rollout'), why: '' })
    const r = room(scriptedQuerier(worse), deployment(), ledger, clock)
    await r.rollouts.start()
    expect(r.state().progress).toEqual(old)
    expect(ledger.get('rollout', 'pilot@4.3.0')?.value).toMatchObject({
      ...old,
      plan: { baseline: '4.2.7' },
    })
    await r.rollouts.drain()
  })
  test('a judgement that ends after the baseline changed is of no account', async () => {
    const querier = scriptedQuerier(worse)
    let wait = Promise.resolve()
    const slow: Querier = {
      ...querier,
      instant: async (...asked) => {
        await wait
        return querier.instant(...asked)
      },
    }
    const r = room(slow, deployment({}, { failures: 1, interval: '10s' }))
    await r.rollouts.start()
    await r.live(45 * second)
    let go = (): void => undefined
    wait = new Promise((resolve) => {
      go = resolve
    })
    await r.live(20 * second)
    r.declare(deployment({ baseline: '4.2.6' }, { failures: 1, interval: '10s' }))
    await r.live(2 * second)
    const { startedAt } = r.state().progress
    go()
    await r.live(3 * second)
    expect(r.decided.map((d) => d.verdict)).not.toContain('rollback')
    expect(r.ledger.get('rollout', 'pilot@4.3.0')?.value).toMatchObject({
      startedAt,
      plan: { baseline: '4.2.6' },
    })
    await r.rollouts.drain()
  })
})
