import { describe, expect, test } from 'vitest'
import { matcherTest, parseMatchers, printMatcher, printMatchers, sortMatchers } from './matchers.ts'

const printed = (text: string, mode?: 'utf8' | 'classic') =>
  parseMatchers(text, mode).map(printMatcher).join(' ')

describe('utf-8 matchers', () => {
  test.each([
    ['foo=bar', 'foo="bar"'],
    ['foo = "bar"', 'foo="bar"'],
    ['{foo="bar",}', 'foo="bar"'],
    ['{a="b",c=~"d.*", e != "f" , g!~h}', 'a="b" c=~"d.*" e!="f" g!~"h"'],
    ['"foo bar"="baz"', '"foo bar"="baz"'],
    ['Σ=🙂', 'Σ="🙂"'],
    ['foo="a\\"b\\\\c\\n"', 'foo="a\\"b\\\\c\\n"'],
    ['foo="\\u00e9\\x41\\101"', 'foo="éAA"'],
    ['foo=""', 'foo=""'],
    ['foo="a,b}c"', 'foo="a,b}c"'],
    ['{}', ''],
    ['', ''],
    ['service.name=x', 'service.name="x"'],
  ])('%s', (text, wanted) => expect(printed(text, 'utf8')).toBe(wanted))

  test.each([
    ['foo', 'one of = != =~ !~ expected at 4'],
    ['foo=', 'a value expected'],
    ['foo=bar baz', 'a comma expected at 9'],
    ['{foo=bar', '} is missing'],
    ['foo=bar}', '} without a {'],
    ['{foo=bar} x', 'nothing may follow'],
    ['foo="bar', 'not closed'],
    ['foo="\\q"', 'unknown escape'],
    ['foo=~"("', 'regular expression'],
    ['""=x', 'label name'],
  ])('%s is refused', (text, why) => expect(() => parseMatchers(text, 'utf8')).toThrow(why))
})

describe('classic matchers', () => {
  test.each([
    ['foo=bar', 'foo="bar"'],
    ['foo=bar baz', 'foo="bar baz"'],
    ['foo=', 'foo=""'],
    ['{foo="a,b", bar=~"x|y"}', 'foo="a,b" bar=~"x|y"'],
    ['foo="\\d"', 'foo="\\\\d"'],
    ['foo=~a=b', 'foo=~"a=b"'],
  ])('%s', (text, wanted) => expect(printed(text, 'classic')).toBe(wanted))
  test.each(['foo bar=x', 'föö=x', 'foo="bar', 'foo=ba"r', 'foo'])('%s is refused', (text) =>
    expect(() => parseMatchers(text, 'classic')).toThrow('matcher'),
  )
})

test('what only the classic form takes is still taken by default, and where the two disagree classic wins', () => {
  expect(printed('foo=bar baz')).toBe('foo="bar baz"')
  expect(printed('foo="\\d+"')).toBe('foo="\\\\d+"')
  expect(printed('"ünï"=x')).toBe('ünï="x"')
})

test('a matcher list prints as it stands in a group key, sorted by name, value and operator', () => {
  const list = sortMatchers(parseMatchers('b="2",a!="9",a="1",a=~"1"'))
  expect(printMatchers(list)).toBe('{a="1",a=~"1",a!="9",b="2"}')
})

test('a missing label is the empty string, inherited names are no labels', () => {
  const holds = (text: string, labels: Record<string, string>) => matcherTest(parseMatchers(text))(labels)
  expect(holds('a=""', {})).toBe(true)
  expect(holds('a!="x"', {})).toBe(true)
  expect(holds('a=~".+"', {})).toBe(false)
  expect(holds('constructor=""', {})).toBe(true)
  expect(holds('a=~"x|y"', { a: 'xy' })).toBe(false)
})
