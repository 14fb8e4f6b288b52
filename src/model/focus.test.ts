import { expect, test } from 'vitest'
import { focusProblems } from './focus.ts'

const row = {
  BilledCost: '1',
  BillingAccountId: 'a',
  BillingAccountName: null,
  BillingCurrency: 'USD',
  BillingPeriodEnd: '2026-12-01T00:00:00Z',
  BillingPeriodStart: '2026-11-01T00:00:00Z',
  ChargeCategory: 'Usage',
  ChargeClass: null,
  ChargeDescription: null,
  ChargePeriodEnd: '2026-11-24T00:00:00Z',
  ChargePeriodStart: '2026-11-23T00:00:00Z',
  ContractedCost: '1',
  EffectiveCost: '1',
  InvoiceIssuerName: 'i',
  ListCost: '1',
  PricingQuantity: '1',
  PricingUnit: 'u',
  ProviderName: 'p',
  PublisherName: 'p',
  ServiceCategory: 'Compute',
  ServiceName: 's',
}

test('a good row has no problem', () => expect(focusProblems(row)).toEqual([]))

test.each([
  ['EffectiveCost', '1E400'],
  ['EffectiveCost', '-1e308'],
  ['PricingQuantity', '1E999'],
])('%s %s would make counters endless', (column, text) =>
  expect(focusProblems({ ...row, [column]: text })).toMatchObject([{ column }]),
)

test.each(['2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z', '2026-11-23T25:00:00Z'])(
  '%s is in no calendar',
  (text) =>
    expect(
      focusProblems({ ...row, ChargePeriodStart: text, ChargePeriodEnd: '2027-12-01T00:00:00Z' }),
    ).toMatchObject([{ column: 'ChargePeriodStart' }]),
)

test.each(['constructor', '__proto__', 'toString'])('%s is no column', (name) =>
  expect(focusProblems({ ...row, ...JSON.parse(`{${JSON.stringify(name)}: "x"}`) })).toMatchObject([
    { column: name },
  ]),
)
