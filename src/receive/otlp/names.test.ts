import { describe, expect, it } from 'vitest'
import golden from '../../../test/golden/otlp-names.json' with { type: 'json' }
import {
  type LabelNaming,
  labelName,
  type MetricKind,
  metricFamily,
  plainFloat,
  type TranslationStrategy,
} from './names.ts'

describe.each(Object.entries(golden) as [TranslationStrategy, [string, string, MetricKind, string][]][])(
  'metric names by %s',
  (strategy, rows) => {
    it.each(rows)('%j in %j, a %s, is %j', (name, unit, kind, want) =>
      expect(metricFamily(name, unit, kind, strategy)).toBe(want),
    )
  },
)

describe('label names', () => {
  const naming: LabelNaming = {
    strategy: 'UnderscoreEscapingWithSuffixes',
    underscoreSanitization: true,
    preserveMultipleUnderscores: true,
  }
  it.each([
    ['agent.name', 'agent_name', 'agent_name'],
    ['http..route', 'http__route', 'http_route'],
    ['1st', 'key_1st', 'key_1st'],
    ['_private', 'key_private', 'key_private'],
    ['__reserved__', '__reserved__', '__reserved__'],
    ['naïve', 'na_ve', 'na_ve'],
    ['a🚀b', 'a_b', 'a_b'],
    ['plain', 'plain', 'plain'],
    ['..', '', ''],
    ['', '', ''],
  ])('%j is %j, with runs made one %j', (key, kept, collapsed) => {
    expect(labelName(key, naming)).toBe(kept)
    expect(labelName(key, { ...naming, preserveMultipleUnderscores: false })).toBe(collapsed)
  })
  it('are left alone where UTF-8 is let through, and not prefixed where that is switched off', () => {
    expect(labelName('agent.name', { ...naming, strategy: 'NoTranslation' })).toBe('agent.name')
    expect(labelName('_x', { ...naming, underscoreSanitization: false })).toBe('_x')
  })
})

describe('bounds as text', () => {
  it.each([
    [0.1, '0.1'],
    [1, '1'],
    [-2.5, '-2.5'],
    [1e21, '1000000000000000000000'],
    [1.5e22, '15000000000000000000000'],
    [1e-7, '0.0000001'],
    [-1.25e-8, '-0.0000000125'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ])('%d is %s', (value, text) => expect(plainFloat(value)).toBe(text))
})
