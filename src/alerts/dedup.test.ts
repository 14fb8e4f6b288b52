import { expect, test } from 'vitest'
import { type Instant, minute } from '../lib/time.ts'
import { needsUpdate } from './dedup.ts'

const told = (firing: string[], resolved: string[] = [], at = 0) => ({ firing, resolved, at: at as Instant })
const ask = (
  t: ReturnType<typeof told> | null,
  firing: string[],
  resolved: string[] = [],
  at = 1000,
  sendResolved = true,
) => needsUpdate(t, { firing, resolved }, { sendResolved, repeatInterval: minute, at: at as Instant })

test.each([
  ['nothing told, one fires', ask(null, ['a']), 'first notification'],
  ['nothing told, all resolved already', ask(null, [], ['a']), null],
  ['the same', ask(told(['a']), ['a']), null],
  ['one fewer, resolves not told', ask(told(['a', 'b']), ['a'], ['b'], 1000, false), null],
  ['one resolved', ask(told(['a', 'b']), ['a'], ['b']), 'some alerts resolved'],
  ['one resolved, told already', ask(told(['a'], ['b']), ['a'], ['b']), null],
  ['one more', ask(told(['a']), ['a', 'b']), 'new alerts in group'],
  ['one instead of another', ask(told(['a']), ['b'], ['a']), 'new alerts in group'],
  ['all resolved', ask(told(['a']), [], ['a']), 'all alerts resolved'],
  [
    'all resolved clears the record where resolves are not sent',
    ask(told(['a']), [], ['a'], 1, false),
    'all alerts resolved',
  ],
  ['all resolved, told already', ask(told([], ['a']), [], ['a']), null],
  ['fired and resolved between two looks', ask(told([], ['a']), [], ['b']), null],
  ['fires again after all were resolved', ask(told([], ['a']), ['a']), 'first notification'],
  ['just before the repeat', ask(told(['a']), ['a'], [], 59_999), null],
  ['at the repeat', ask(told(['a']), ['a'], [], 60_000), 'repeat interval elapsed'],
  ['all resolved never repeats', ask(told([], ['a']), [], ['a'], 600_000), null],
])('%s', (_, found, wanted) => expect(found).toBe(wanted))
