import { describe, expect, it, test } from 'vitest'
import { createMask, maskRuleSchema } from './masks.ts'

type Rule = Parameters<typeof createMask>[0][number]
const mask = (text: string, ...rules: Rule[]): string => createMask(rules)!(text)

test.each<[Rule, string, string]>([
  ['email', 'to a.b+c@mail.example.com, now', 'to <email>, now'],
  ['email', 'user @ home', 'user @ home'],
  ['credit_card', 'card 4111 1111 1111 1111.', 'card <credit_card>.'],
  ['credit_card', '4111111111111111 123 is followed by more', '<credit_card> 123 is followed by more'],
  ['credit_card', '4111-1111-1111-1112 fails its check digit', '4111-1111-1111-1112 fails its check digit'],
  ['iban', 'to DE89 3704 0044 0532 0130 00 please', 'to <iban> please'],
  ['iban', 'DE88370400440532013000', 'DE88370400440532013000'],
  ['ipv4', 'from 10.0.17.255 to v1.2.3', 'from <ipv4> to v1.2.3'],
  ['ipv4', '999.1.1.1', '999.1.1.1'],
  ['ipv6', 'from 2001:db8::8a2e:370:7334!', 'from <ipv6>!'],
  ['ipv6', 'at 12:30:59', 'at 12:30:59'],
  ['phone', 'call +49 170 1234567 or (030) 123-4567', 'call <phone> or <phone>'],
  ['phone', 'in 2 of 15 runs', 'in 2 of 15 runs'],
  ['jwt', 'x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ y', 'x <jwt> y'],
  ['bearer_token', 'Authorization: Bearer abcdef123456', 'Authorization: <bearer_token>'],
  ['api_key', 'use sk-proj-abcdefghijklmnop1234 here', 'use <api_key> here'],
  ['api_key', '{"api_key": "0123456789ab"}', '{"<api_key>"}'],
  ['aws_key', 'AKIAIOSFODNN7EXAMPLE', '<aws_key>'],
])('%s: %s', (rule, text, masked) => expect(mask(text, rule)).toBe(masked))

describe('own patterns', () => {
  it('run in order after each other', () => {
    const own = maskRuleSchema.parse({ pattern: 'order-\\d+', replacement: 'order-#' })
    expect(mask('order-17 by a@b.org', own, 'email')).toBe('order-# by <email>')
  })

  it('are RE2, and linear where others are not', () => {
    const own = maskRuleSchema.parse({ pattern: '(a+)+$' })
    expect(mask(`${'a'.repeat(20_000)}b`, own)).toBe(`${'a'.repeat(20_000)}b`)
  })

  it.each([['(?=x)'], ['['], ['a*']])('refuse %s with the reason', (pattern) => {
    expect(maskRuleSchema.safeParse({ pattern }).success).toBe(false)
  })
})
