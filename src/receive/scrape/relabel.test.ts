import { describe, expect, test } from 'vitest'
import { relabel, relabelRuleSchema } from './relabel.ts'

const run = (rules: unknown[], labels: Record<string, string>) => {
  const map = new Map(Object.entries(labels))
  const kept = relabel(
    map,
    rules.map((r) => relabelRuleSchema.parse(r)),
  )
  return kept ? Object.fromEntries(map) : null
}

// Cases after the behaviour that Prometheus documents for each action.
describe('relabel', () => {
  test.each<[string, unknown, Record<string, string>, Record<string, string> | null]>([
    [
      'replace joins and expands',
      {
        source_labels: ['a', 'b'],
        regex: '(.*);(.*)',
        target_label: 'c',
        replacement: ['$', '{2}-$1'].join(''),
      },
      { a: 'x', b: 'y' },
      { a: 'x', b: 'y', c: 'y-x' },
    ],
    [
      'replace without a match changes nothing',
      { source_labels: ['a'], regex: 'z', target_label: 'c' },
      { a: 'x' },
      { a: 'x' },
    ],
    [
      'replace with empty removes',
      { source_labels: ['a'], regex: 'x', target_label: 'a', replacement: '' },
      { a: 'x', b: '1' },
      { b: '1' },
    ],
    [
      'target_label expands',
      { source_labels: ['a'], regex: '(.*)', target_label: 'to_$1', replacement: 'v' },
      { a: 'x' },
      { a: 'x', to_x: 'v' },
    ],
    ['keep', { source_labels: ['a'], regex: 'x|y', action: 'keep' }, { a: 'y' }, { a: 'y' }],
    ['keep is anchored', { source_labels: ['a'], regex: 'x', action: 'keep' }, { a: 'xx' }, null],
    ['drop', { source_labels: ['a'], regex: 'x.*', action: 'drop' }, { a: 'xx' }, null],
    ['keepequal', { source_labels: ['a'], target_label: 'b', action: 'keepequal' }, { a: '1', b: '2' }, null],
    ['dropequal', { source_labels: ['a'], target_label: 'b', action: 'DropEqual' }, { a: '1', b: '1' }, null],
    // The low 8 bytes of MD5('x'), computed apart with Python's hashlib.
    [
      'hashmod',
      { source_labels: ['a'], target_label: 'h', modulus: 1000, action: 'hashmod' },
      { a: 'x' },
      { a: 'x', h: '726' },
    ],
    [
      'labelmap',
      { regex: '__meta_(.+)', action: 'labelmap' },
      { __meta_zone: 'a' },
      { __meta_zone: 'a', zone: 'a' },
    ],
    ['labeldrop', { regex: 't.*', action: 'labeldrop' }, { tmp: '1', a: '2' }, { a: '2' }],
    ['labelkeep', { regex: 't.*', action: 'labelkeep' }, { tmp: '1', a: '2' }, { tmp: '1' }],
    ['lowercase', { source_labels: ['a'], target_label: 'a', action: 'lowercase' }, { a: 'XÉ' }, { a: 'xé' }],
    [
      'uppercase',
      { source_labels: ['a'], target_label: 'b', action: 'uppercase' },
      { a: 'x' },
      { a: 'x', b: 'X' },
    ],
  ])('%s', (_, rule, labels, expected) => expect(run([rule], labels)).toEqual(expected))

  test('bad rules say why', () => {
    const why = (rule: unknown) =>
      relabelRuleSchema
        .safeParse(rule)
        .error?.issues.map((i) => i.message)
        .join()
    expect(why({ action: 'replace' })).toContain('needs target_label')
    expect(why({ action: 'labeldrop', regex: 'x', target_label: 'y' })).toContain(
      'means nothing to action labeldrop',
    )
    expect(why({ action: 'labelkeep', source_labels: ['a'] })).toContain('means nothing to action labelkeep')
    expect(why({ action: 'keepequal', target_label: 'x', regex: 'y' })).toContain('means nothing')
    expect(why({ action: 'lowercase', target_label: 'x', replacement: 'y' })).toContain('means nothing')
    expect(why({ action: 'hashmod', target_label: 'x' })).toContain('needs modulus')
    expect(why({ action: 'drop', regex: '(' })).toContain('"(" is no RE2 expression')
  })
})
