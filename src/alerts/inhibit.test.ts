import { expect, test } from 'vitest'
import { instant } from '../lib/time.ts'
import { createInhibitor } from './inhibit.ts'
import { parseMatchers } from './matchers.ts'

const rule = (sources: string, targets: string, equal: string[] = []) => ({
  name: '',
  sources: parseMatchers(sources),
  targets: parseMatchers(targets),
  equal,
})
const alert = (labels: Record<string, string>, endsAt = 100) => ({
  ...{ labels, annotations: {}, generatorURL: '' },
  ...{ startsAt: instant(0), endsAt: instant(endsAt) },
})

test('a firing source holds its targets back where the labels are equal, until it ends', () => {
  const inhibitor = createInhibitor([rule('severity=critical', 'severity=warning', ['cluster', 'zone'])])
  inhibitor.note('s', alert({ severity: 'critical', cluster: 'a' }))
  const by = (labels: Record<string, string>, at = 50) => inhibitor.inhibitedBy(labels, instant(at))
  expect(by({ severity: 'warning', cluster: 'a' })).toEqual(['s'])
  expect(by({ severity: 'warning', cluster: 'a', zone: '' })).toEqual(['s'])
  expect(by({ severity: 'warning', cluster: 'a', zone: 'x' })).toEqual([])
  expect(by({ severity: 'warning', cluster: 'b' })).toEqual([])
  expect(by({ severity: 'info', cluster: 'a' })).toEqual([])
  expect(by({ severity: 'warning', cluster: 'a' }, 100)).toEqual([])
})

test('an alert on both sides is not held back by another on both sides, nor by itself', () => {
  const inhibitor = createInhibitor([rule('alertname=~"A|B"', 'alertname=~"B|C"')])
  inhibitor.note('b', alert({ alertname: 'B' }))
  expect(inhibitor.inhibitedBy({ alertname: 'B' }, instant(1))).toEqual([])
  expect(inhibitor.inhibitedBy({ alertname: 'C' }, instant(1))).toEqual(['b'])
  inhibitor.note('a', alert({ alertname: 'A' }))
  expect(inhibitor.inhibitedBy({ alertname: 'B' }, instant(1))).toEqual(['a'])
  inhibitor.forget('a', alert({ alertname: 'A' }))
  expect(inhibitor.inhibitedBy({ alertname: 'B' }, instant(1))).toEqual([])
})
