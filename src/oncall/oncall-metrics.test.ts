import { expect, test } from 'vitest'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { instant } from '../lib/time.ts'
import type { EscalationState, PageRecord } from './escalation.ts'
import { createOncallMetrics } from './oncall-metrics.ts'

const page = (step: number, user = 'mara', about: PageRecord['about'] = 'firing'): PageRecord => ({
  ...{ id: `${step}${user}`, user, step, about, state: 'asked', at: instant(0), why: '' },
})
const begun = {
  ...{ id: 'e', policy: 'night', status: 'open', startedAt: instant(1000), pages: [], acknowledgedAt: null },
} as unknown as EscalationState

test('pages after the first are passings on, and the first acknowledgement is timed', () => {
  const metrics = fakeMetrics()
  const figures = createOncallMetrics(metrics)
  figures.stepped(null, begun, [page(1), page(1, 'jonas')])
  const paged = { ...begun, pages: [page(1), page(1, 'jonas')] }
  figures.underWay([paged])
  expect(metrics.values.get('airboss_oncall_escalations_total{policy="night"}')).toBe(1)
  expect(metrics.values.get('airboss_oncall_passed_on_total{policy="night"}')).toBe(0)
  expect(metrics.values.get('airboss_oncall_escalations{policy="night",status="open"}')).toBe(1)

  const asked = { ...paged, pages: [...paged.pages, page(2)] }
  figures.stepped(paged, asked, [page(2)])
  const answered = { ...asked, status: 'acknowledged' as const, acknowledgedAt: instant(31_000) }
  figures.stepped(asked, answered, [])
  figures.stepped(answered, answered, [page(1, 'mara', 'resolved')])
  figures.underWay([answered])
  expect(metrics.values.get('airboss_oncall_passed_on_total{policy="night"}')).toBe(1)
  expect(metrics.values.get('airboss_oncall_escalations{policy="night",status="open"}')).toBe(0)
  expect(metrics.values.get('airboss_oncall_escalations{policy="night",status="acknowledged"}')).toBe(1)
  expect(metrics.values.get('airboss_oncall_acknowledge_seconds{policy="night"}')).toBe(30)
})
