import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppError, messageOf } from '../lib/errors.ts'
import { check } from './check.ts'
import { parse } from './parse.ts'
import { print } from './print.ts'

const printed = (text: string): string => {
  const expr = parse(text)
  check(text, expr)
  return print(expr)
}
const errorOf = (text: string): string => {
  try {
    check(text, parse(text))
  } catch (error) {
    if (error instanceof AppError && error.code === 'bad_data') return error.message
    throw error
  }
  return 'no error'
}

describe('expressions as Prometheus prints them', () => {
  it.each([
    ['up', 'up'],
    ['up{}', 'up'],
    ["up{a='b',c=~`d`}", 'up{a="b",c=~"d"}'],
    ['{__name__="up"}', '{__name__="up"}'],
    ['{"my.metric","a.b"="x"}', '{"my.metric","a.b"="x"}'],
    ['up[90s] offset 1h', 'up[1m30s] offset 1h'],
    ['up[5] @ 1.5 offset -5m', 'up[5s] @ 1.500 offset -5m'],
    ['up offset 5m @ end()', 'up @ end() offset 5m'],
    ['sum(up)by(a,"b.c")', 'sum by (a, "b.c") (up)'],
    ['SUM without() (up)', 'sum without () (up)'],
    ['topk(3,up)', 'topk(3, up)'],
    ['a+on(x)group_left(y)b', 'a + on (x) group_left (y) b'],
    ['a and ignoring(x) b', 'a and ignoring (x) b'],
    ['a == bool 1', 'a == bool 1'],
    ['max_over_time(up[1h:])', 'max_over_time(up[1h:])'],
    ['(a + b)[5m:1m] offset 2m', '(a + b)[5m:1m] offset 2m'],
    ['0x1F + 1e3 + .5', '31 + 1000 + 0.5'],
    ['1e21 + 1e-7 + Inf + NaN', '1000000000000000000000 + 0.0000001 + +Inf + NaN'],
    ['1h + 5m', '1h + 5m'],
    ['- -1', '1'],
    ['"a\\tb"', '"a\\tb"'],
    ['up # comment\n + # another\n down', 'up + down'],
    ['label_replace(up, "a", "$1", "b", "(.*)")', 'label_replace(up, "a", "$1", "b", "(.*)")'],
  ])('%s', (text, wanted) => {
    expect(printed(text)).toBe(wanted)
    expect(printed(wanted)).toBe(wanted)
  })
})

describe('precedence', () => {
  const grouped = (text: string): string => {
    const show = (e: ReturnType<typeof parse>): string =>
      e.kind === 'binary'
        ? `(${show(e.left)} ${e.op} ${show(e.right)})`
        : e.kind === 'unary'
          ? `${e.op}(${show(e.expr)})`
          : print(e)
    return show(parse(text))
  }
  it.each([
    ['a + b offset 5m * c', '(a + (b offset 5m * c))'],
    ['-a offset 5m', '-(a offset 5m)'],
    ['-a ^ 2 * b', '(-((a ^ 2)) * b)'],
    ['2 ^ -1 ^ 2 * 3', '((2 ^ -((1 ^ 2))) * 3)'],
    ['a ^ b ^ c', '(a ^ (b ^ c))'],
    ['a - b - c', '((a - b) - c)'],
    ['a or b and c unless d', '(a or ((b and c) unless d))'],
    ['a == b + c atan2 d', '(a == (b + (c atan2 d)))'],
    ['a @ 5 / b @ start()', '(a @ 5.000 / b @ start())'],
    ['a -1', '(a - 1)'],
  ])('%s', (text, wanted) => expect(grouped(text)).toBe(wanted))
})

describe('errors by line and column', () => {
  it.each([
    ['', '1:1: parse error: no expression found in input'],
    ['nosuch(up)', '1:1: parse error: unknown function with name "nosuch"'],
    ['1 + nosuch(up)', '1:5: parse error: unknown function with name "nosuch"'],
    [
      'sum(\n  rate(up))',
      '2:8: parse error: expected type range vector in call to function "rate", got instant vector',
    ],
    ['up{', '1:4: parse error: unexpected end of input'],
    ['up down', '1:4: parse error: unexpected "down"'],
    ['"é" + up down', '1:10: parse error: unexpected "down"'],
    ['{a=~".*"}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    ['{"a","b"}', '1:6: parse error: metric name must not be set twice: "a" or "b"'],
    ['1 == 1', '1:1: parse error: comparisons between scalars must use BOOL modifier'],
    ['a + bool b', '1:5: parse error: bool modifier can only be used on comparison operators'],
    ['a and on(x) group_left b', '1:13: parse error: no grouping allowed for "and" operation'],
    [
      'a + on(x) group_left(x) b',
      '1:5: parse error: label "x" must not occur in ON and GROUP clause at once',
    ],
    ['a + on(x) 1', '1:1: parse error: vector matching only allowed between instant vectors'],
    ['a and 1', '1:1: parse error: set operator "and" not allowed in binary scalar expression'],
    ['rate(up[5m], 1)', '1:1: parse error: expected 1 argument(s) in call to "rate", got 2'],
    [
      'label_join(up, "a")',
      '1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 2',
    ],
    ['up[5m][5m]', '1:1: parse error: ranges only allowed for vector selectors'],
    ['up offset 1m[5m]', '1:1: parse error: no offset modifiers allowed before range'],
    ['up @ 1 @ 2', '1:1: parse error: @ <timestamp> may not be set multiple times'],
    ['sum(up) offset 5m', '1:1: parse error: offset modifier must be preceded by'],
    ['up[0s]', '1:4: parse error: duration must be greater than 0'],
    ['up{a=~"("}', '1:7: parse error: regular expression "("'],
    ['up{a="b}', '1:6: parse error: string literal not terminated'],
    ['"\\q"', '1:1: parse error: unknown escape sequence'],
    ['"\\xff"', '1:1: parse error: string literal is not valid UTF-8'],
    ['-"a"', '1:1: parse error: unary expression only allowed'],
    [
      'topk(up)',
      '1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1',
    ],
  ])('%j', (text, wanted) => expect(errorOf(text)).toContain(wanted))
})

describe('what the grammar knows and is not evaluated is refused by name', () => {
  it.each([
    ['a + fill(0) b', 'fill'],
    ['up smoothed', 'smoothed'],
    ['up[5m] anchored', 'anchored'],
    ['up[5m + 1m]', 'duration expressions'],
    ['up[step()]', 'duration expressions'],
    ['info(up)', 'info'],
    ['start_timestamp(up)', 'start_timestamp'],
    ['min_of(1, 2)', 'min_of'],
    ['holt_winters(up[5m], 0.1, 0.1)', 'double_exponential_smoothing'],
  ])('%s', (text, name) => expect(errorOf(text)).toContain(name))
})

describe('what is too much is refused, never a crash', () => {
  it.each([
    `${'('.repeat(5000)}1${')'.repeat(5000)}`,
    `${'abs('.repeat(2000)}up${')'.repeat(2000)}`,
    '- '.repeat(5000).concat('up'),
    'a ^ '.repeat(3000).concat('a'),
    'up + '.repeat(3000).concat('up'),
    'x'.repeat(200_000),
  ])('case %#', (text) => expect(errorOf(text)).toMatch(/nested too deeply|characters/))
  it('reads a long sum', () => expect(printed('up + '.repeat(450).concat('up')).length).toBe(5 * 450 + 2))
})

it('any text is an expression or a bad_data', () => {
  const word = fc.constantFrom(
    ...'up sum by ( ) { } [ ] , + - * / ^ % == =~ != offset @ 5m 1 "a" rate on group_left bool and start() : # \n topk \\ ` é'.split(
      ' ',
    ),
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 14 }).map((w) => w.join(' ')),
  )
  fc.assert(
    fc.property(text, (t) => {
      try {
        const shown = printed(t)
        expect(printed(shown)).toBe(shown)
      } catch (error) {
        expect(error instanceof AppError && error.code === 'bad_data', `${t}: ${messageOf(error)}`).toBe(true)
      }
    }),
    { numRuns: 3000 },
  )
})
