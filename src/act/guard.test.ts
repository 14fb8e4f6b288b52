import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { memoryLedger } from '../../test/kit/memory-ledger.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { day, hour } from '../lib/time.ts'
import type { Action } from '../model/decision.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import { SeriesTable } from '../model/series.ts'
import { actionsSchema } from './config.ts'
import { createDecisions } from './decisions.ts'
import { guard } from './guard.ts'
import type { ActionRecord } from './records.ts'

const mara = { id: 'user:mara', kind: 'user' } as const
const action: Action = {
  id: 'a1',
  kind: 'rollback',
  subject: 'pilot',
  params: {},
  reason: 'worse',
  causes: ['d1'],
  actuator: '',
}
const clock = new FakeClock()
const common = { clock, log: silentLogger(), metrics: fakeMetrics() }
/** A life that begins with what the ledger holds; the actuator hangs where `hang` is set. */
const life = async (ledger: Ledger, config: object, hang = false) => {
  const calls: string[] = []
  const inner = {
    act: async (a: Action) => {
      calls.push(a.id)
      if (hang) await new Promise(() => {})
      return { outcome: 'done', detail: 'ok' } as const
    },
  }
  const settings = actionsSchema({}).parse(config)
  const desk = createDecisions({
    ...common,
    ledger,
    table: new SeriesTable(100),
    sink: { push: async () => {} },
    actuator: guard(inner, { ...common, config: settings, ledger }),
    expireAfter: settings.expire_after,
  })
  await desk.start()
  await settle()
  const state = () => ledger.get<ActionRecord>('action', 'a1')?.value
  return { desk, calls, state }
}
/** Killed while the call was under way. */
const interrupted = async () => {
  const ledger = memoryLedger()
  const { desk, calls, state } = await life(ledger, { mode: 'live' }, true)
  const decision = {
    at: clock.now(),
    kind: 'rollout',
    subject: 'pilot',
    verdict: 'rollback',
    reason: 'worse',
  }
  await desk.record(
    { ...decision, id: 'd1', inputs: {}, causes: [], action } as never,
    new AbortController().signal,
  )
  await settle()
  expect(calls).toEqual(['a1'])
  expect(state()?.state).toBe('doing')
  return ledger
}

test('an interrupted action goes on after a restart, under its own id', async () => {
  const { calls, state } = await life(await interrupted(), { mode: 'live' })
  expect(calls).toEqual(['a1'])
  expect(state()?.state).toBe('done')
})

test('not where the operator made it a dry run meanwhile; approved, it goes on', async () => {
  const { desk, calls, state } = await life(await interrupted(), { mode: 'dry_run' })
  expect(calls).toEqual([])
  expect(state()).toMatchObject({ state: 'held', hold: 'dry_run' })
  await desk.approve('a1', mara, 'finish it')
  await settle()
  expect(calls).toEqual(['a1'])
})

test('not where everything was stopped meanwhile', async () => {
  const ledger = await interrupted()
  await ledger.put('switch', 'actions', { stopped: true, why: 'fire' }, { by: mara, why: 'fire' })
  const { calls, state } = await life(ledger, { mode: 'live' })
  expect(calls).toEqual([])
  expect(state()).toMatchObject({ state: 'held', hold: 'switch' })
})

test('not where it is older than any action may be', async () => {
  const ledger = await interrupted()
  await clock.advance(day + hour)
  const { calls, state } = await life(ledger, { mode: 'live' })
  expect(calls).toEqual([])
  expect(state()?.state).toBe('expired')
})

test('in a dry run the world is asked once whether it would take it, and nothing is done', async () => {
  const ledger = memoryLedger()
  const asked: string[] = []
  const inner = {
    act: async () => ({ outcome: 'done', detail: 'ok' }) as const,
    rehearse: async (a: Action) => {
      asked.push(a.id)
      return 'the cluster would take it: 3 to 5'
    },
  }
  const guarded = guard(inner, { ...common, config: actionsSchema({}).parse({}), ledger })
  const never = new AbortController().signal
  for (let i = 0; i < 2; i++)
    expect(await guarded.act(action, mara, never)).toMatchObject({ outcome: 'held' })
  const record = ledger.get<ActionRecord>('action', 'a1')?.value
  expect(record).toMatchObject({ state: 'held', hold: 'dry_run', attempts: 0 })
  expect(record?.detail).toMatch(/^dry run: .*; the cluster would take it: 3 to 5$/)
  expect(asked).toEqual(['a1'])
  // A person lets it go.
  await ledger.put('approval', 'a1', { by: mara.id, why: 'go' }, { by: mara, why: 'go' })
  expect(await guarded.act(action, mara, never)).toMatchObject({ outcome: 'done' })
})
