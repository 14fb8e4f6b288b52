import { describe, expect, it } from 'vitest'
import { AppError } from '../../lib/errors.ts'
import { sampleBatch } from '../../model/batch.ts'
import { SeriesTable } from '../../model/series.ts'
import { DeltaState } from './delta.ts'

const hour = 3_600_000
const make = (maxSeries = 10) => {
  const table = new SeriesTable(100)
  const refs = ['a', 'b', 'c'].map((name) => table.intern(['__name__', name]))
  const state = new DeltaState({ table, maxSeries })
  const add = (ref: number, startAt: number, at: number, value: number, now = at): number | string => {
    const tx = state.tryBegin(now)!
    const outcome = tx.add(ref, startAt, at, value, false)
    const { total } = tx
    tx.commit(now)
    return outcome === 'taken' ? total : outcome
  }
  return { table, refs, state, add }
}

describe('running totals', () => {
  it('add up over gaps and restarts of the sender', () => {
    const { refs, add } = make()
    expect(add(refs[0]!, 0, 10, 5)).toBe(5)
    expect(add(refs[0]!, 10, 20, 2)).toBe(7)
    expect(add(refs[0]!, 50, 60, 1)).toBe(8)
  })
  it('count one interval once, and refuse what ends before it', () => {
    const { refs, add } = make()
    add(refs[0]!, 0, 10, 5)
    expect(add(refs[0]!, 0, 10, 5)).toBe('again')
    expect(add(refs[0]!, 1, 10, 5)).toBe('older')
    expect(add(refs[0]!, 0, 5, 5)).toBe('older')
    expect(add(refs[0]!, 10, 20, 1)).toBe(6)
  })
  it('see earlier points of their own transaction, and nothing of one rolled back', () => {
    const { refs, state, add } = make()
    const tx = state.tryBegin(0)!
    tx.add(refs[0]!, 0, 10, 5, false)
    tx.add(refs[0]!, 10, 20, 5, false)
    expect(tx.total).toBe(10)
    expect(tx.add(refs[0]!, 10, 20, 5, false)).toBe('again')
    tx.rollback()
    expect(() => tx.rollback()).toThrow(AppError)
    expect(add(refs[0]!, 0, 10, 1)).toBe(1)
  })
  it('begin anew after an hour of silence, and make room so', () => {
    const { refs, state, add } = make(1)
    add(refs[0]!, 0, 10, 5)
    expect(add(refs[1]!, 0, 10, 5)).toBe('full')
    expect(add(refs[1]!, hour, hour + 100, 5, hour + 100)).toBe(5)
    expect(state.size).toBe(1)
  })
})

describe('one transaction at a time', () => {
  it('in the order asked for; one who gives up is left out', async () => {
    const { state } = make()
    const first = state.tryBegin(0)!
    expect(state.tryBegin(0)).toBeNull()
    const order: string[] = []
    const gone = new AbortController()
    const wait = (name: string, signal: AbortSignal) =>
      state
        .begin(() => 0, signal)
        .then((tx) => {
          order.push(name)
          tx.rollback()
        })
    const second = wait('second', new AbortController().signal)
    const left = wait('left', gone.signal).catch((reason: unknown) => order.push(String(reason)))
    const third = wait('third', new AbortController().signal)
    gone.abort('gone')
    await left
    first.rollback()
    await Promise.all([second, third])
    expect(order).toEqual(['gone', 'second', 'third'])
    state.tryBegin(0)!.rollback()
  })
})

describe('a restart', () => {
  const throughJson = (state: DeltaState): unknown => JSON.parse(JSON.stringify(state.checkpoint()))

  it('goes on from the checkpoint, whether the table knows the series yet or not', () => {
    const before = make()
    before.add(before.refs[0]!, 0, 10, 5)
    before.add(before.refs[1]!, 0, 10, 7)
    const saved = throughJson(before.state)
    const table = new SeriesTable(100)
    const known = table.intern(['__name__', 'a'])
    const state = new DeltaState({ table })
    state.restore(saved)
    const late = table.intern(['__name__', 'b'])
    const tx = state.tryBegin(20)!
    expect(tx.add(known, 0, 10, 5, false)).toBe('again')
    tx.add(known, 10, 20, 1, false)
    expect(tx.total).toBe(6)
    tx.add(late, 10, 20, 1, false)
    expect(tx.total).toBe(8)
    tx.commit(20)
    expect(state.size).toBe(2)
    expect(throughJson(state)).not.toEqual(saved)
  })

  it('takes over what was logged after the checkpoint, new series too, however often it is replayed', () => {
    const { table, refs, state, add } = make()
    add(refs[0]!, 0, 10, 5)
    const saved = throughJson(state)
    const after = new DeltaState({ table, maxSeries: 2 })
    after.restore(saved)
    const logged = sampleBatch([refs[0]!, refs[1]!, refs[2]!], [20, 20, 20], [12, 100, Number.NaN])
    after.replay(logged)
    after.replay(logged)
    const again = new DeltaState({ table, maxSeries: 2 })
    again.restore(throughJson(after))
    for (const s of [after, again]) {
      const tx = s.tryBegin(30)!
      expect(tx.add(refs[0]!, 10, 20, 7, false)).toBe('again')
      tx.add(refs[0]!, 20, 30, 1, false)
      expect(tx.total).toBe(13)
      tx.add(refs[1]!, 20, 30, 1, false)
      expect(tx.total).toBe(101)
      expect(tx.add(refs[2]!, 20, 30, 1, false)).toBe('full')
      tx.commit(30)
    }
  })

  it('forgets after ten minutes what was only replayed', () => {
    const { table, refs } = make()
    const state = new DeltaState({ table })
    state.replay(sampleBatch([refs[0]!, refs[1]!], [1000, 700_000], [5, 5]))
    const tx = state.tryBegin(700_000)!
    tx.add(refs[0]!, 690_000, 700_000, 1, false)
    expect(tx.total).toBe(1)
    tx.add(refs[1]!, 700_000, 700_001, 1, false)
    expect(tx.total).toBe(6)
    tx.rollback()
  })

  it.each([null, {}, { ids: 'AAAAAAAAAAA=', numbers: '', candidates: 'AA==' }])(
    'refuses %j as a checkpoint',
    (saved) => {
      expect(() => make().state.restore(saved)).toThrow(AppError)
    },
  )
})
